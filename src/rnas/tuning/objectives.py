"""What a study looks at: numbers that a recipe's run leaves of its found network, by name, each with its direction."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rnas.certification.card import CERTIFIERS
from rnas.config import quoted
from rnas.errors import ConfigError, RunError, UnknownNameError, nearest
from rnas.evaluation.suite import ATTACKS
from rnas.reports.layers import layers_of, mean_vulnerability, read_layers
from rnas.run.results import read_results
from rnas.run.search_results import read_search_results
from rnas.run.study_results import Measured, Objective

__all__ = ["CERTIFIED", "MEASURES", "check_objectives", "describe_objectives", "measure", "objective"]

#: What is counted of a network or a search; less of it is better.
MEASURES = {
    "parameters": "parameters of the trained network",
    "multiply_accumulates": "multiply-accumulates of an image",
    "published_parameters": "parameters of its cells at their published size",
    "F": "its vulnerability by the metric of search.constraint",
    "passes": "passes that the search took",
}

#: How objectives begin that are shares of certified images; the name of a method follows.
CERTIFIED = "certified/"

#: Accuracies that are no attack's.
OTHERS = {
    "clean": "accuracy on clean images",
    "worst_case": "accuracy under all attacks within eps together",
    "worst_case_l2": "accuracy under all attacks within eps_l2 together",
}


def objective(name: str) -> Objective:
    """What is known of an objective, with its direction: shares of images rise, what is counted falls."""
    titles = {
        "clean": "Clean accuracy",
        "worst_case": "Worst case, Linf",
        "worst_case_l2": "Worst case, L2",
        "F": "F",
        "passes": "Passes of the search",
    }
    if name.startswith(CERTIFIED):
        title = f"Certified, {CERTIFIERS[name.removeprefix(CERTIFIED)].title}"
        return Objective(name, title, maximise=True)
    title = titles.get(name) or (name.replace("_", " ").capitalize() if name in MEASURES else ATTACKS[name].title)
    return Objective(name, title, maximise=name not in MEASURES)


def describe_objectives() -> list[str]:
    """A line for each objective: its name, what it is, and its direction."""
    lines = {name: f"{words} (higher is better)" for name, words in OTHERS.items()}
    lines["ATTACK"] = "accuracy under an attack of evaluation.attacks, such as pgd20 or autoattack (higher is better)"
    lines["certified/METHOD"] = "certified accuracy by a method of rnas certify, such as interval (higher is better)"
    lines |= {name: f"{words} (lower is better)" for name, words in MEASURES.items()}
    width = max(map(len, lines))
    return [f"{name:{width}}  {words}" for name, words in lines.items()]


def measured_by(attacks: Sequence[str]) -> list[str]:
    """The objectives that a run with some attacks measures."""
    norms = {ATTACKS[name].norm for name in attacks}
    worst = [name for norm, name in (("Linf", "worst_case"), ("L2", "worst_case_l2")) if norm in norms]
    return ["clean", *attacks, *worst, *MEASURES]


def check_objectives(names: Sequence[str], attacks: Sequence[str]) -> None:
    """Make sure that a study's runs will measure what it looks at.

    Args:
        names: the objectives.
        attacks: those of the runs.

    Raises:
        ConfigError: if there is none, one is named twice, does not exist, or is not measured.
    """
    if not names:
        raise ConfigError("objectives: expected at least one, such as clean,pgd20,parameters")
    measured = measured_by(attacks)
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(f"objectives: expected each objective once, got {', '.join(names)}")
        if name in measured:
            continue
        if name in (*OTHERS, *ATTACKS) or is_variant(name):
            advice = "add its attack to --evaluation.attacks"
        elif name.startswith(CERTIFIED):
            check_method(name.removeprefix(CERTIFIED))
            continue
        else:
            raise UnknownNameError(f"objectives: no objective is called {quoted(name)}{nearest(name, measured)}")
        raise ConfigError(
            f"objectives: {name} is not measured by these runs: {advice} (measured: {', '.join(measured)})"
        )


def check_method(name: str) -> None:
    """Make sure that a method of certification takes what a recipe trains."""
    try:
        card = CERTIFIERS[name]
    except UnknownNameError as error:
        raise UnknownNameError(f"objectives: {error}") from error
    if card.smoothed:
        raise ConfigError(f"objectives: {name} certifies smoothed models only, and trials train none: choose interval")


def is_variant(name: str) -> bool:
    """Whether a name makes an attack with other steps or restarts, such as pgd50x10."""
    try:
        return bool(ATTACKS[name])
    except ConfigError:
        return False


def measure(folder: Path, names: Sequence[str], metric: str) -> dict[str, Measured]:
    """What a finished run of a recipe says of its found network.

    Args:
        folder: the run directory.
        names: the objectives.
        metric: of F.

    Raises:
        RunError: if the run is not finished, or one is not in it.
    """
    results = read_results(folder / "searched" / "results.json")
    search = read_search_results(folder / "search")
    counted: dict[str, float | None] = {
        "parameters": results.parameters,
        "published_parameters": search.parameters,
        "passes": search.passes,
    }
    found: dict[str, Measured] = {}
    for name in names:
        rows = {f"{CERTIFIED}{row.name}": row for row in results.certificates}
        share = results.attack(name) or rows.get(name)
        if share is not None:
            found[name] = Measured(share.accuracy, share.low, share.high)
            continue
        if name == "F":
            layers = read_layers(folder / "vulnerability" / "vulnerability.csv")
            counted["F"] = mean_vulnerability(layers_of(layers, results.name, metric))
        elif name == "multiply_accumulates":
            counted[name] = multiply_accumulates(folder / "searched")
        value = counted.get(name)
        if value is None:
            raise RunError(f"{folder} has no {name}: its run measured something else")
        found[name] = Measured.exact(float(value))
    return found


def multiply_accumulates(folder: Path) -> int:
    """Those of the network in a run directory, for an image of its training."""
    from rnas.models.spec import NetworkSpec
    from rnas.networks.counting import count_multiply_accumulates

    spec = NetworkSpec.load(folder)
    if spec.image_size is None:
        raise RunError(f"{folder}/model.json does not say how large the images are")
    return count_multiply_accumulates(spec.build(seed=0), (spec.in_channels, *spec.image_size))
