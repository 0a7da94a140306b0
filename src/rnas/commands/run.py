"""`rnas run`: search, train the found network and a baseline, attack both, measure F of both, report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from rnas import reports
from rnas.commands.checks import check_attacks, check_cells, check_network, check_search, check_training
from rnas.commands.comparing import load_data
from rnas.commands.config import EvaluateCommand, RecipeCommand, SearchCommand, TrainCommand, VulnerabilityCommand
from rnas.commands.evaluate import load_second, run_evaluation
from rnas.commands.measuring import MeasuringAttack
from rnas.commands.search import read_search, run_search
from rnas.commands.stage import stage
from rnas.commands.train import read_training, run_training
from rnas.commands.vulnerability import run_vulnerability
from rnas.config import Distance
from rnas.evaluation.config import PAPER_EPS
from rnas.models.spec import NetworkSpec
from rnas.objectives.config import UNATTACKED
from rnas.run.files import read_summary, refuse_link
from rnas.run.manifest import Changes, has_begun, read_manifest, refuse
from rnas.run.results import RecipeResults, read_results
from rnas.training.config import CellTrainingConfig
from rnas.training.loop import check_images

__all__ = ["complete_recipe", "run_recipe"]

#: Test images on which F of the trained networks is measured: PGD-20 on them costs less than that of an evaluation.
MEASURED_IMAGES = 256


def change_later_stages(path: Path, manifest: Mapping[str, Any], changed: Changes) -> None:
    """Let a recipe go on with other settings of stages that have not begun."""
    baseline = manifest["config"].get("baseline", {}).get("name") or "baseline"
    working = {name: (path / name / "manifest.json").is_file() for name in ("searched", baseline)}
    working = {name: there and has_begun(path / name, read_manifest(path / name)) for name, there in working.items()}
    attacked = any((path / name / "outcomes.parquet").exists() for name in working)
    settled = {
        "evaluation": attacked or manifest["finished"] is not None,
        "training": any(working.values()),
        "network": working["searched"],
        "baseline": working[baseline],
    }
    if fixed := {key: value for key, value in changed.items() if settled.get(key.partition(".")[0], True)}:
        refuse(path, manifest, fixed)


def run_recipe(command: RecipeCommand) -> Path:
    """Search, train the found network and the baseline, attack both, report.

    Args:
        command: the settings of all stages.

    Returns:
        The report, an HTML page.
    """
    return reports.report(complete_recipe(command))


def complete_recipe(command: RecipeCommand) -> Path:
    """All of `run_recipe` but the report; returns the run directory."""
    check_recipe(command)
    with stage(command, "run", change_later_stages) as (run, _):
        if not run.complete(partial(read_stages, networks_of(command))):
            run.write_json("results.json", run_stages(command, run.path).to_json())
            run.finish()
    return run.path


def check_recipe(command: RecipeCommand) -> None:
    """Check the names in a recipe's settings, and what its search and trainings cannot be.

    Raises:
        ConfigError: as the checks of `rnas.commands.checks`.
    """
    check_search(command.search)
    if compares(command):
        check_network(command.baseline, "baseline")
    check_training(command.training)
    check_cells(command.search.space, command.training.cells)


def compares(command: RecipeCommand) -> bool:
    """Whether a recipe has a baseline."""
    return command.baseline.name is not None or command.baseline.genotype is not None


def networks_of(command: RecipeCommand) -> list[str]:
    """The folders of a recipe's networks: the found one's and, where there is one, the baseline's."""
    return ["searched", command.baseline.name or "baseline"] if compares(command) else ["searched"]


def read_stages(networks: Sequence[str], folder: Path) -> None:
    """Make sure that what a recipe's stages made can be read; raises an RnasError if not."""
    read_search(folder / "search")
    for name in networks:
        read_training(folder / name)
        read_results(folder / name / "results.json")
    if RecipeResults.from_json(read_summary(folder), str(folder / "results.json")).vulnerability:
        reports.read_layers(folder / "vulnerability" / "vulnerability.csv")


def run_stages(command: RecipeCommand, out: Path) -> RecipeResults:
    """All of a recipe but its report, each stage in a folder of its own."""
    # Before the search, not days after it.
    data = load_data(command.data, command.seed)
    check_attacks(command.evaluation, data)
    check_images(data, command.training)
    load_second(command.evaluation, torch.device("cpu"))
    for name in ("search", *networks_of(command)):
        refuse_link(out / name)
    common = command.run_settings()
    searched = run_search(SearchCommand(out=str(out / "search"), data=command.data, search=command.search, **common))
    found = replace(command.network, genotype=str(searched / "genotype.json"))
    networks = dict(zip(networks_of(command), (found, command.baseline), strict=False))
    folders = []
    for name, network in networks.items():
        training = command.training
        if NetworkSpec.of(network, num_classes=2, in_channels=1).cell_genotype is None:
            training = replace(training, cells=CellTrainingConfig())  # of no use to the baseline
        folders.append(
            run_training(
                TrainCommand(out=str(out / name), data=command.data, network=network, training=training, **common)
            )
        )
    models = [str(folder) for folder in folders]
    common = command.compute_settings()
    results = run_evaluation(models, EvaluateCommand(evaluation=command.evaluation, **common))
    measured = run_vulnerability(
        VulnerabilityCommand(
            models=models,
            out=str(out / "vulnerability"),
            images=MEASURED_IMAGES,
            attack=measuring_attack(command),
            metrics=list(dict.fromkeys((command.search.constraint.metric, command.search.shortlist.metric))),
            **common,
        )
    )
    return RecipeResults(tuple(results), f"{measured.name}/vulnerability.csv")


def measuring_attack(command: RecipeCommand) -> MeasuringAttack:
    """The PGD-20 that F of the trained networks is measured with: of the radius and step of their evaluation."""
    training = command.training
    asked = command.evaluation.at(PAPER_EPS if training.objective in UNATTACKED else training.attack.eps)
    return MeasuringAttack(asked.eps, Distance(min(asked.pgd_step, 1.0)), steps=20)
