"""The commands as functions, with plain arguments for what one changes first: `rnas.search`, `rnas.train`, ...

Each takes what the one before gives. Whatever has no argument here is in the typed settings, and in the configurations
of `rnas.commands`, which are the same as on the command line. Runs are kept, continued and not repeated as there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from rnas.config import Distance
from rnas.data.config import DataChoice, DataConfig
from rnas.lazy import lazily
from rnas.plain_arguments import as_choice, as_config, attack_at, given, named_images, optional

if TYPE_CHECKING:
    from torch import nn

    from rnas.certification import Certification, CertificationSettings
    from rnas.evaluation import Evaluation, EvaluationSettings
    from rnas.networks import zoo
    from rnas.run.results import ModelResults
    from rnas.search.config import SearchConfig
    from rnas.training.config import TrainingConfig
else:
    __getattr__, _ = lazily("rnas.networks", {"zoo": ()})

__all__ = ["certify", "evaluate", "report", "search", "train", "zoo"]


def search(
    data: str | Path | DataConfig = "digits",
    *,
    out: str | Path = "runs/search",
    algorithm: str | None = None,
    epochs: int | None = None,
    channels: int | None = None,
    cells: int | None = None,
    eps: float | str | None = None,
    bound: float | str | None = None,
    settings: SearchConfig | None = None,
    seed: int = 0,
) -> Path:
    """Search for a robust architecture, as `rnas search` does; a finished search is not repeated.

    An argument that is given replaces what the settings say.

    Args:
        data: the images: a name, a hub id or a path, as ``--data`` takes it, or all about them.
        out: the run directory.
        algorithm: a name in `rnas.search.ALGORITHMS`; the paper's is "rnas".
        epochs: passes over half of the training images, at least 1; the warm-up keeps its share of them, a quarter.
        channels: of the supernet's first cells, a positive even number.
        cells: of the supernet, at least 3 in the space darts.
        eps: radius of the L-infinity ball of all attacks, in units of images in [0, 1]: 0.1 or "8/255". Their steps are
            a quarter of it.
        bound: H, the bound on the vulnerability: a number, or "80%" of F at the end of the warm-up.
        settings: all else; by default the paper's.
        seed: of everything random, >= 0.

    Returns:
        The run directory, from which `rnas.train` and `rnas.Genotype.load` take what was found.

    Raises:
        RnasError: if a setting is out of its range, the images cannot be loaded, or the folder holds something else.
    """
    from rnas.commands import SearchCommand, run_search
    from rnas.search.config import SearchConfig

    settings = settings or SearchConfig()
    changes = given(algorithm=algorithm, epochs=epochs, channels=channels, cells=cells)
    if epochs is not None:
        changes["warmup_epochs"] = round(epochs * settings.warmup_epochs / settings.epochs)
    if bound is not None:
        changes["constraint"] = replace(settings.constraint, bound=bound)
    if eps is not None:
        changes["attack"] = attack_at(eps, settings.attack)
    settings = replace(settings, **changes)
    return run_search(SearchCommand(out=str(out), data=as_config(data), search=settings, seed=seed))


def train(
    network: str | Path,
    data: str | Path | DataConfig | None = None,
    *,
    out: str | Path = "runs/train",
    objective: str | None = None,
    epochs: int | None = None,
    channels: int | None = None,
    cells: int | None = None,
    eps: float | str | None = None,
    settings: TrainingConfig | None = None,
    seed: int = 0,
) -> Path:
    """Train a network adversarially, as `rnas train` does; a finished training is not repeated.

    An argument that is given replaces what the settings say.

    Args:
        network: what `rnas.search` gave; a name in `rnas.zoo.NETWORKS`, such as "resnet18"; a genotype's
            file, or its text as DARTS and NAS-Bench-201 print it.
        data: the images, as `rnas.search` takes them; None for those of the search, or digits.
        out: the run directory.
        objective: a name in `rnas.objectives.OBJECTIVES`, such as "pgd_at", "trades", "ibp" or "standard".
        epochs: passes over the training images, at least 1.
        channels: of the first stage, at least 1; None for the published width.
        cells: at least 1; None for the published depth. Only for networks made of cells.
        eps: radius of the L-infinity ball of the attack, in units of images in [0, 1]; its steps are a quarter of it.
        settings: all else; by default the paper's.
        seed: of everything random, >= 0.

    Returns:
        The run directory, which `rnas.evaluate`, `rnas.certify` and `rnas.load` take.

    Raises:
        RnasError: if a setting is out of its range, there is no such network, the images cannot be loaded, or the
            folder holds something else.
    """
    from rnas.commands import TrainCommand, run_training
    from rnas.commands.comparing import training_data
    from rnas.networks import NETWORKS, NetworkConfig
    from rnas.training.config import TrainingConfig

    settings = settings or TrainingConfig()
    changes = given(objective=objective, epochs=epochs)
    if eps is not None:
        changes["attack"] = attack_at(eps, settings.attack)
    settings = replace(settings, **changes)
    if data is None and isinstance(network, Path) and (network / "manifest.json").is_file():
        data = training_data(network)
    named = {"name" if network in NETWORKS else "genotype": str(network)}
    command = TrainCommand(
        out=str(out),
        data=as_config("digits" if data is None else data),
        network=NetworkConfig(**named, channels=channels, cells=cells),
        training=settings,
        seed=seed,
    )
    return run_training(command)


def evaluate(
    model: str | Path | nn.Module,
    data: str | Path | DataChoice | None = None,
    *,
    attacks: Sequence[str] | None = None,
    eps: float | str | None = None,
    images: int | None = None,
    out: str | Path | None = None,
    settings: EvaluationSettings | None = None,
    seed: int = 0,
) -> Evaluation:
    """Attack a network and count what withstands, as `rnas evaluate` does; what was attacked before is not repeated.

    An argument that is given replaces what the settings say.

    Args:
        model: what `rnas.train` gave, or any form that `rnas.load` takes; or a torch module from images (N, C, H, W) in
            [0, 1] to logits (N, classes).
        data: the test images, as `rnas.search` takes them; None for those of the training.
        attacks: names from `rnas.evaluation.ATTACKS`, or PGD of another strength such as "pgd100x10".
        eps: radius of the L-infinity ball, in units of images in [0, 1]; None for that of the training, or 8/255.
        images: how many test images, a stratified subset; None for all.
        out: a folder for the results; None for the run directory, and of a torch module for nowhere.
        settings: all else; by default the paper's attacks.
        seed: of everything random, >= 0.

    Returns:
        Robust accuracies with their intervals, and the verdicts of the sanity checks: ``print(*result.table())``.

    Raises:
        RnasError: if a setting is out of its range, nothing says which images, or the model does not fit them.
    """
    from rnas.commands import EvaluateCommand, run_evaluation
    from rnas.commands.comparing import load_data
    from rnas.evaluation import Evaluation, EvaluationSettings
    from rnas.evaluation import evaluate as evaluate_module
    from rnas.evaluation.outcomes import Outcomes
    from rnas.evaluation.records import Record

    names = None if attacks is None else list(attacks)
    changes = given(attacks=names, images=images, eps=None if eps is None else Distance(eps))
    settings = replace(settings or EvaluationSettings(), **changes)
    if not isinstance(model, str | Path):
        test = load_data(named_images(data), seed).test
        return evaluate_module(model, test.images, test.labels, settings=settings, seed=seed, folder=out)
    command = EvaluateCommand(out=optional(out), data=as_choice(data), evaluation=settings, seed=seed)
    (results,) = run_evaluation([str(model)], command)
    record, config = Record(kept_in(model, out, results), {}, Outcomes), settings.at(Distance(results.radius))
    compared = {check.name for check in Evaluation.of(record, config).sanity}
    examined = tuple(check for check in results.sanity if check.name not in compared)
    return Evaluation.of(record, config, examined=examined)


def certify(
    model: str | Path | nn.Module,
    data: str | Path | DataChoice | None = None,
    *,
    methods: Sequence[str] | None = None,
    eps: float | str | None = None,
    images: int | None = None,
    out: str | Path | None = None,
    settings: CertificationSettings | None = None,
    seed: int = 0,
) -> Certification:
    """Prove of images that nothing within a distance changes their class, as `rnas certify` does.

    Arguments are those of `evaluate`, but for the methods.

    Args:
        model: as `evaluate` takes it; a `rnas.certification.SmoothedModel`, or "smoothed:0.25:runs/train", for
            smoothing.
        data: the test images.
        methods: names from `rnas.certification.CERTIFIERS`.
        eps: radius of the L-infinity ball, in units of images in [0, 1]; None for that of the training, or 8/255.
        images: how many test images, a stratified subset; None for all.
        out: a folder for the certificates; None for the run directory, and of a torch module for nowhere.
        settings: all else.
        seed: of everything random, >= 0.

    Returns:
        Certified accuracies with their intervals, and the certificates: ``print(*result.table())``.

    Raises:
        RnasError: as `evaluate`, and if a method cannot take the model.
    """
    from rnas.certification import Certification, CertificationSettings
    from rnas.certification import certify as certify_module
    from rnas.certification.certificates import Certificates
    from rnas.commands import CertifyCommand, run_certification
    from rnas.commands.comparing import load_data
    from rnas.evaluation.records import Record

    names = None if methods is None else list(methods)
    changes = given(methods=names, images=images, eps=None if eps is None else Distance(eps))
    settings = replace(settings or CertificationSettings(), **changes)
    if not isinstance(model, str | Path):
        test = load_data(named_images(data), seed).test
        return certify_module(model, test.images, test.labels, settings=settings, seed=seed, folder=out)
    command = CertifyCommand(out=optional(out), data=as_choice(data), certification=settings, seed=seed)
    (results,) = run_certification([str(model)], command)
    return Certification.of(Record(kept_in(model, out, results), {}, Certificates), float(settings.eps_l2))


def report(folder: str | Path) -> Path:
    """Write the page, the table and the figures of what a folder holds, as `rnas report` does.

    Args:
        folder: a run directory, or a folder with several.

    Returns:
        The path of report.html.

    Raises:
        RunError: if the folder does not exist, has nothing to report, or a file in it is damaged.
    """
    from rnas.reports import report as write_report

    return write_report(Path(folder))


def kept_in(model: str | Path, out: str | Path | None, results: ModelResults) -> Path:
    """The folder of a model's results: its run directory, or the one of its name below a folder."""
    return Path(model) if out is None else Path(out) / results.name
