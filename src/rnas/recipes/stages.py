"""The stages as functions of their typed configuration: what `rnas search`, `train`, `evaluate` and `run` do."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from rnas import reports
from rnas.config import plain
from rnas.data import ImageDataset, load, stratified_subset
from rnas.data.config import DataConfig
from rnas.devices import cpu_threads, select_device
from rnas.errors import ModelError, RunError
from rnas.evaluation import EvaluationConfig, evaluate
from rnas.files import write_atomically
from rnas.networks.spec import NetworkSpec, load_network
from rnas.networks.zoo import count_parameters
from rnas.progress import reporting
from rnas.recipes.checks import check_attacks, check_network, check_search, check_training
from rnas.recipes.config import EvaluateCommand, RecipeCommand, RunCommand, SearchCommand, TrainCommand
from rnas.runs import Run, locked, open_run, read_manifest
from rnas.search.loop import search
from rnas.seeding import derive
from rnas.training.loop import train

__all__ = ["run_evaluation", "run_recipe", "run_search", "run_training"]


def load_data(config: DataConfig, seed: int) -> ImageDataset:
    return load(
        config.source,
        limit=config.limit,
        image_column=config.image_column,
        label_column=config.label_column,
        seed=derive(seed, "data"),
    )


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
            run.record("images", data.fingerprint)
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
            run.record("images", data.fingerprint)
            spec = NetworkSpec.of(command.network, num_classes=data.num_classes, in_channels=data.channels)
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


def run_evaluation(folders: list[Path], command: EvaluateCommand) -> list[dict[str, Any]]:
    """Attack trained networks; batches that were attacked before are not attacked again.

    Args:
        folders: run directories that `run_training` wrote.
        command: attacks and images.

    Returns:
        The content of each folder's results.json.

    Raises:
        RunError: if a folder holds no trained network, a damaged one, or is in use.
        ModelError: if a network does not fit its weights or the images.
    """
    networks = [load_network(folder) for folder in map(holds_network, folders)]
    device = select_device(command.device)
    second = load_second(command.evaluation, device)
    results = []
    with cpu_threads(command.threads):
        for folder, network in zip(folders, networks, strict=True):
            with locked(folder):
                document = evaluate_network(folder, network.to(device), command, second)
                write_atomically(folder / "results.json", json.dumps(document, indent=1) + "\n")
            results.append(document)
    return results


def holds_network(folder: Path) -> Path:
    """The folder itself, unless the networks are in folders of it, as after `rnas run`: then say so."""
    inside = sorted(str(path.parent) for path in folder.glob("*/model.json"))
    if inside and not (folder / "model.json").exists():
        raise RunError(f"{folder} holds no trained network itself; did you mean {' '.join(inside)}?")
    return folder


def load_second(config: EvaluationConfig, device: torch.device) -> tuple[str, nn.Module] | None:
    """Name and network of what transfer attacks are made on, if one is asked for."""
    if config.transfer_from is None:
        return None
    folder = Path(config.transfer_from)
    return folder.name, load_network(holds_network(folder)).to(device)


def evaluate_network(
    folder: Path, network: nn.Module, command: EvaluateCommand, second: tuple[str, nn.Module] | None
) -> dict[str, Any]:
    """The results of one network, as its results.json holds them."""
    manifest = read_manifest(folder)
    try:
        source = DataConfig(**manifest["config"]["data"]) if command.data is None else DataConfig(source=command.data)
    except (KeyError, TypeError) as error:
        raise RunError(f"{folder}/manifest.json is damaged: its settings of the data cannot be read") from error
    data = load_data(source, manifest["seed"])
    classes = NetworkSpec.load(folder).num_classes
    if classes != data.num_classes:
        raise ModelError(f"{folder}: the network tells {classes} classes apart, {data.name} has {data.num_classes}")
    settings = command.evaluation
    test = data.test
    chosen = None
    if settings.images is not None:
        chosen = stratified_subset(test.labels, settings.images, derive(command.seed, "test images"))
        test = test.select(chosen)
    with evaluation_progress(folder.name, network, len(settings.attacks) + 1) as progress:
        evaluation = evaluate(
            network,
            test.images,
            test.labels,
            settings.attacks,
            eps=settings.eps,
            eps_l2=settings.eps_l2,
            step_size=settings.step_size,
            cw_steps=settings.cw_steps,
            square_queries=settings.square_queries,
            apgd_steps=settings.apgd_steps,
            second_model=second,
            autoattack_images=settings.autoattack_images,
            batch_size=settings.batch_size,
            seed=command.seed,
            folder=folder,
            progress=progress,
        )
    return {
        "model": {"name": folder.name, "parameters": count_parameters(network)},
        "data": {
            "name": data.name,
            "fingerprint": data.fingerprint,
            "images": len(test),
            "classes": data.num_classes,
            # Positions in the test set, in the order of outcomes.parquet; null for all of it.
            "indices": None if chosen is None else chosen.tolist(),
        },
        "attacks": evaluation.to_json(),
    }


@contextmanager
def evaluation_progress(name: str, network: nn.Module, attacks: int) -> Iterator[Callable[..., None]]:
    """Progress in percent of each attack; a batch of AutoAttack takes thousands of passes, which are counted too."""
    finished: dict[str, float] = {}
    shown: dict[str, float | str] = {}
    passes = 0
    with reporting(f"attacking {name}", 100 * attacks) as reporter:

        def update() -> None:
            reporter.update(round(100 * sum(finished.values())), **shown, passes=str(passes))

        def show(attack: str, done: int, total: int, robust_accuracy: float) -> None:
            finished[attack] = done / total
            shown.update({"last": attack, "robust": robust_accuracy})
            update()

        def count(*_: object) -> None:
            nonlocal passes
            passes += 1
            if passes % 50 == 0:
                update()

        hook = network.register_forward_hook(count)
        try:
            yield show
        finally:
            hook.remove()


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
    folders = [
        run_training(
            TrainCommand(out=str(out / name), data=command.data, network=network, training=command.training, **common)
        )
        for name, network in networks.items()
    ]
    return run_evaluation(
        folders,
        EvaluateCommand(
            evaluation=command.evaluation, seed=command.seed, device=command.device, threads=command.threads
        ),
    )
