"""The stages as functions of their typed configuration: what `rnas search`, `train` and `run` do."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from rnas import parallel, reports
from rnas.checkpoints import read_weights
from rnas.config import Distance, plain
from rnas.devices import select_device
from rnas.errors import ConfigError, RunError
from rnas.evaluation.config import PAPER_EPS
from rnas.files import read_summary, refuse_link
from rnas.genotype import Genotype
from rnas.manifests import Changes, Judge, begun, early_stop, read_manifest, refuse
from rnas.networks.spec import NetworkSpec
from rnas.opening import open_run
from rnas.progress import announce
from rnas.recipes.checks import check_attacks, check_cells, check_network, check_search, check_training
from rnas.recipes.comparing import load_data
from rnas.recipes.config import (
    EvaluateCommand,
    RecipeCommand,
    RunCommand,
    SearchCommand,
    TrainCommand,
    VulnerabilityCommand,
)
from rnas.recipes.evaluating import load_second, run_evaluation
from rnas.recipes.measuring import MeasuringAttack
from rnas.recipes.vulnerability import run_vulnerability
from rnas.reports.results import read_results
from rnas.reproducibility import computing
from rnas.runs import Run
from rnas.search.config import FOUND
from rnas.search.loop import search
from rnas.seeding import derive
from rnas.terminal import warn
from rnas.training.config import CellTrainingConfig, ScheduleConfig
from rnas.training.extending import check_extension, put_aside
from rnas.training.loop import check_images, train

#: Test images on which F of the trained networks is measured: PGD-20 on them costs less than that of an evaluation.
MEASURED_IMAGES = 256

__all__ = ["run_recipe", "run_search", "run_training"]


@contextmanager
def stage(command: RunCommand, kind: str, judge: Judge | None = None) -> Iterator[tuple[Run, torch.device]]:
    """The run directory of a command, open, and the device to compute on; `judge` is that of `open_run`."""
    device = select_device(command.device)
    announce(f"{kind}: {command.out} on {device}")
    with (
        computing(command.threads, deterministic=command.deterministic, device=device.type),
        open_run(Path(command.out), kind, plain(command), seed=command.seed, device=str(device), judge=judge) as run,
    ):
        yield run, device


def read_search(folder: Path) -> None:
    """Make sure that what a search found can be read; raises an RnasError if not."""
    Genotype.load(folder / "genotype.json")
    read_weights(folder / "alpha.safetensors")
    read_summary(folder, FOUND)


def read_training(folder: Path) -> None:
    """Make sure that a trained network can be read; raises an RnasError if not."""
    NetworkSpec.load(folder)
    read_weights(folder / "weights.safetensors")


def warn_of_small_data(setting: str, batch_size: int, images: int) -> None:
    """Say so where there are fewer images than a batch asks for; of one image there is an error."""
    if 1 < images < batch_size:
        warn(f"warning: {setting} is {batch_size}, there are {images} images to train on: each step takes all of them")


def run_search(command: SearchCommand) -> Path:
    """Search as configured; a finished search is not repeated.

    Returns:
        The run directory, which holds genotype.json.
    """
    check_search(command.search)
    with stage(command, "search") as (run, device):
        if not run.complete(read_search):
            data = load_data(command.data, command.seed)
            run.record("images", parallel.agreed("images", data.fingerprint))
            warn_of_small_data("search.batch_size", command.search.batch_size, len(data.train) // 2)
            search(
                data,
                command.search,
                run,
                augmentation=command.data,
                device=device,
                checkpoint_every=command.checkpoint_every,
            )
            run.finish()
    return run.path


def run_training(command: TrainCommand) -> Path:
    """Train as configured; a finished training is not repeated.

    Returns:
        The run directory, which holds model.json and weights.safetensors.
    """
    check_training(command.training)
    check_network(command.network)
    with stage(command, "train", partial(extend, command)) as (run, device):
        if not run.complete(read_training):
            data = load_data(command.data, command.seed)
            run.record("images", parallel.agreed("images", data.fingerprint))
            training = command.training
            warn_of_small_data("training.batch_size", training.batch_size, len(data.train) - training.validation.images)
            spec = NetworkSpec.of(
                command.network, num_classes=data.num_classes, in_channels=data.channels, image_size=data.size
            )
            run.record(
                "cells", hashlib.sha256(spec.genotype.to_json().encode()).hexdigest() if spec.genotype else "none"
            )
            network = spec.build(seed=derive(command.seed, "network"))
            if spec.cell_genotype is None:
                # Of an attempt that failed before its first step, with other settings.
                (run.path / "genotype.json").unlink(missing_ok=True)
            spec.save(run.path, run=run.identity)
            train(
                network,
                data,
                training,
                run,
                augmentation=command.data,
                device=device,
                checkpoint_every=command.checkpoint_every,
            )
            run.finish()
    if words := early_stop(run.manifest):
        warn(f"{run.path.name}: {words}")
    return run.path


def extend(command: TrainCommand, path: Path, manifest: Mapping[str, Any], changed: Changes) -> None:
    """Let a training go on with other epochs, where it then ends as if it had had them from the beginning."""
    lengths = ("training.epochs", "training.schedule.")
    if fixed := {key: value for key, value in changed.items() if not key.startswith(lengths)}:
        refuse(path, manifest, fixed)
    settings = manifest["config"]["training"]
    try:
        before = replace(command.training, epochs=settings["epochs"], schedule=ScheduleConfig(**settings["schedule"]))
    except (KeyError, TypeError, ConfigError) as error:
        raise RunError(f"{path}/manifest.json is damaged: its settings of the training cannot be read") from error
    data = load_data(command.data, command.seed)
    check_extension(path, before, command.training, len(data.train) - command.training.validation.images)
    if manifest["finished"] is not None:
        put_aside(path, before.epochs)


def change_later_stages(path: Path, manifest: Mapping[str, Any], changed: Changes) -> None:
    """Let a recipe go on with other settings of stages that have not begun."""
    baseline = manifest["config"].get("baseline", {}).get("name") or "baseline"
    working = {name: (path / name / "manifest.json").is_file() for name in ("searched", baseline)}
    working = {name: there and begun(path / name, read_manifest(path / name)) for name, there in working.items()}
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

    Returns:
        The report, an HTML page.
    """
    check_search(command.search)
    check_network(command.baseline, "baseline")
    check_training(command.training)
    check_cells(command.search.space, command.training.cells)
    with stage(command, "run", change_later_stages) as (run, _):
        if not run.complete(partial(read_stages, networks_of(command))):
            run.write_json("results.json", run_stages(command, run.path))
            run.finish()
    return reports.report(run.path)


def networks_of(command: RecipeCommand) -> list[str]:
    """The folders of a recipe's networks: the found one's and the baseline's."""
    return ["searched", command.baseline.name or "baseline"]


def read_stages(networks: Sequence[str], folder: Path) -> None:
    """Make sure that what a recipe's stages made can be read; raises an RnasError if not."""
    read_search(folder / "search")
    for name in networks:
        read_training(folder / name)
        read_results(folder / name / "results.json")
    if "vulnerability" in read_summary(folder):  # runs of older versions have none
        reports.read_layers(folder / "vulnerability" / "vulnerability.csv")


def run_stages(command: RecipeCommand, out: Path) -> dict[str, Any]:
    """All of a recipe but its report, each stage in a folder of its own; returns the content of its results.json."""
    # Before the search, not days after it.
    data = load_data(command.data, command.seed)
    check_attacks(command.evaluation, data)
    check_images(data, command.training)
    load_second(command.evaluation, torch.device("cpu"))
    for name in ("search", *networks_of(command)):
        refuse_link(out / name)
    common: Any = {
        key: getattr(command, key) for key in ("seed", "device", "checkpoint_every", "threads", "deterministic")
    }
    searched = run_search(SearchCommand(out=str(out / "search"), data=command.data, search=command.search, **common))
    found = replace(command.network, genotype=str(searched / "genotype.json"))
    networks = dict(zip(networks_of(command), (found, command.baseline), strict=True))
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
    common = {key: common[key] for key in ("seed", "device", "threads", "deterministic")}
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
    return {"models": results, "vulnerability": f"{measured.name}/vulnerability.csv"}


def measuring_attack(command: RecipeCommand) -> MeasuringAttack:
    """The PGD-20 that F of the trained networks is measured with: of the radius and step of their evaluation."""
    training = command.training
    asked = command.evaluation.at(PAPER_EPS if training.objective == "standard" else training.attack.eps)
    return MeasuringAttack(asked.eps, Distance(min(asked.pgd_step, 1.0)), steps=20)
