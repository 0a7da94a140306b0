"""The stages as functions of their typed configuration: what `rnas search`, `train` and `run` do."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from rnas import parallel, reports
from rnas.config import plain
from rnas.devices import cpu_threads, select_device
from rnas.networks.spec import NetworkSpec
from rnas.recipes.checks import check_attacks, check_network, check_search, check_training
from rnas.recipes.config import EvaluateCommand, RecipeCommand, RunCommand, SearchCommand, TrainCommand
from rnas.recipes.evaluating import load_data, load_second, run_evaluation
from rnas.runs import Run, open_run
from rnas.search.loop import search
from rnas.seeding import derive
from rnas.training.config import CellTrainingConfig
from rnas.training.loop import train

__all__ = ["run_recipe", "run_search", "run_training"]


@contextmanager
def stage(command: RunCommand, kind: str) -> Iterator[tuple[Run, torch.device]]:
    """The run directory of a command, open, and the device to compute on."""
    device = select_device(command.device)
    with (
        cpu_threads(command.threads),
        open_run(Path(command.out), kind, plain(command), seed=command.seed, device=str(device)) as run,
    ):
        yield run, device


def run_search(command: SearchCommand) -> Path:
    """Search as configured; a finished search is not repeated.

    Returns:
        The run directory, which holds genotype.json.
    """
    check_search(command.search)
    with stage(command, "search") as (run, device):
        if not run.finished:
            data = load_data(command.data, command.seed)
            run.record("images", parallel.agreed("images", data.fingerprint))
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
    with stage(command, "train") as (run, device):
        if not run.finished:
            data = load_data(command.data, command.seed)
            run.record("images", parallel.agreed("images", data.fingerprint))
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
            spec.save(run.path)
            train(
                network,
                data,
                command.training,
                run,
                augmentation=command.data,
                device=device,
                checkpoint_every=command.checkpoint_every,
            )
            run.finish()
    return run.path


def run_recipe(command: RecipeCommand) -> Path:
    """Search, train the found network and the baseline, attack both, report.

    Returns:
        The report, an HTML page.
    """
    check_search(command.search)
    check_network(command.baseline, "baseline")
    check_training(command.training)
    with stage(command, "run") as (run, _):
        if not run.finished:
            run.write_json("results.json", {"models": run_stages(command, run.path)})
            run.finish()
    return reports.report(run.path)


def run_stages(command: RecipeCommand, out: Path) -> list[dict[str, Any]]:
    """All of a recipe but its report, each stage in a folder of its own; returns what `run_evaluation` does."""
    # Before the search, not days after it.
    check_attacks(command.evaluation, load_data(command.data, command.seed))
    load_second(command.evaluation, torch.device("cpu"))
    common: Any = {key: getattr(command, key) for key in ("seed", "device", "checkpoint_every", "threads")}
    searched = run_search(SearchCommand(out=str(out / "search"), data=command.data, search=command.search, **common))
    found = replace(command.network, genotype=str(searched / "genotype.json"))
    networks = {"searched": found, command.baseline.name or "baseline": command.baseline}
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
    return run_evaluation(
        [str(folder) for folder in folders],
        EvaluateCommand(
            evaluation=command.evaluation, seed=command.seed, device=command.device, threads=command.threads
        ),
    )
