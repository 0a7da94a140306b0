"""Speed of AutoAttack on the prepared view of a network, as ratios to the plain network, side by side in one process.

    python benchmarks/evaluation.py [--images 128] [--batch 64] [--repeats 1] [--small] [--csv FILE]
    python benchmarks/evaluation.py --run FOLDER --eps 8/255

The whole of AutoAttack standard (Linf) on networks that were adversarially trained on the embedded digits, or on the
network of a run directory of `rnas train` and its test images. "plain" is the authors' code on the network in
evaluation mode, as its users call it. "plain, images only" is `rnas.attacks.auto_attack` on the network, which takes
no gradients in weights. "prepared" is what an evaluation does: the attack on the view, every success confirmed by the
network, what it denies attacked again; making and checking the view counts. "prepared, bfloat16 queries" is that with
Square's queries under autocast, which may miss an image that others break.

Times are seconds of one processor, so that other work on the machine counts little. Variants take turns batch by batch;
the ratio is the median of those of single batches. "different" counts images for which a variant's verdict is not that
of "plain", and must not exceed 0.5% for "prepared", or the exit code is 1.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import NamedTuple

import torch
from pyautoattack import AutoAttack
from rich.console import Console
from rich.progress import track
from rich.table import Table
from torch import Tensor, nn

from rnas.attacks import auto_attack
from rnas.commands import TrainCommand, run_training
from rnas.commands.comparing import load_data, training_data
from rnas.config import Distance, PgdConfig
from rnas.data import DataConfig
from rnas.evaluation.prepared import PreparedModel
from rnas.models.spec import load_network
from rnas.networks.config import NetworkConfig
from rnas.reports.ledger import csv_text
from rnas.run.files import write_atomically
from rnas.run.provenance import origin
from rnas.training.config import TrainingConfig

EPS = Distance("0.1")
"""Of the training here, and by default of the attack."""
BASE = "plain"
MOST_DIFFERENT = 0.005


class Case(NamedTuple):
    """A network that is trained here."""

    network: str
    channels: int
    cells: int | None


SMALL = [Case("resnet18", 8, None)]
CASES = [*SMALL, Case("darts_v2", 4, 3)]


def plain(network: nn.Module, images: Tensor, labels: Tensor, eps: float) -> Tensor:
    """The authors' code as its users call it."""
    attack = AutoAttack(network, norm="Linf", eps=eps, version="standard", device=images.device, seed=0)
    return attack.run_standard_evaluation(images, labels, batch_size=len(images))[0]


def images_only(network: nn.Module, images: Tensor, labels: Tensor, eps: float) -> Tensor:
    """The same, without gradients in weights."""
    return auto_attack(network, images, labels, eps=eps)


def prepared(
    network: nn.Module, images: Tensor, labels: Tensor, eps: float, query_dtype: torch.dtype | None = None
) -> Tensor:
    """What an evaluation does."""
    view = PreparedModel(network, [images])
    assert view.view is not network, view.seen
    return view.attack(
        lambda model, rows: auto_attack(model, images[rows], labels[rows], eps=eps, query_dtype=query_dtype), labels
    )[0]


def prepared_quick(network: nn.Module, images: Tensor, labels: Tensor, eps: float) -> Tensor:
    """The same with `--evaluation.query_precision bfloat16`."""
    return prepared(network, images, labels, eps, query_dtype=torch.bfloat16)


VARIANTS: dict[str, Callable[[nn.Module, Tensor, Tensor, float], Tensor]] = {
    BASE: plain,
    "plain, images only": images_only,
    "prepared": prepared,
    "prepared, bfloat16 queries": prepared_quick,
}


def train(case: Case, folder: Path) -> nn.Module:
    """A network trained on the digits by PGD-5 for a few epochs: a few seconds."""
    training = TrainingConfig(
        epochs=10, batch_size=64, learning_rate=0.05, attack=PgdConfig(eps=EPS, step_size=Distance("0.04"), steps=5)
    )
    network = NetworkConfig(name=case.network, channels=case.channels, cells=case.cells)
    data = DataConfig(source="digits")
    return load_network(run_training(TrainCommand(out=str(folder), data=data, network=network, training=training)))


def measure(
    about: dict[str, object],
    network: nn.Module,
    images: Tensor,
    labels: Tensor,
    *,
    eps: Distance,
    batch: int,
    repeats: int,
) -> list[dict[str, object]]:
    """Rows of the table for one network: a row a variant."""
    network = network.eval()
    times: dict[str, list[float]] = {name: [] for name in VARIANTS}
    robust: dict[str, list[bool]] = {name: [] for name in VARIANTS}
    rounds = list(itertools.product(range(repeats), zip(images.split(batch), labels.split(batch), strict=True)))
    for _, (some, targets) in track(rounds, f"attacking {about['network']}", console=Console(stderr=True)):
        with torch.no_grad():
            correct = network(some).argmax(dim=1) == targets
        for name, attack in VARIANTS.items():
            start = time.process_time()
            adversarial = attack(network, some[correct], targets[correct], float(eps))
            times[name].append(time.process_time() - start)
            with torch.no_grad():
                robust[name] += (network(adversarial).argmax(dim=1) == targets[correct]).tolist()
    return [
        {
            **about,
            "pixels": images.shape[-1],
            "eps": str(eps),
            "batch": batch,
            "variant": name,
            "images": len(images),
            "robust": sum(robust[name]) / repeats,
            "different": sum(one != other for one, other in zip(robust[BASE], robust[name], strict=True)) / repeats,
            "seconds": round(sum(values) / repeats, 2),
            "ratio": round(median(base / value for base, value in zip(times[BASE], values, strict=True)), 3),
        }
        for name, values in times.items()
    ]


def main() -> None:
    """Train, measure, print, and write the rows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=128, help="test images that are attacked")
    parser.add_argument("--batch", type=int, default=64, help="of them at once")
    parser.add_argument("--eps", type=Distance, default=EPS, help="radius of the L-infinity ball, such as 8/255")
    parser.add_argument("--repeats", type=int, default=1, help="how often each batch is attacked")
    parser.add_argument("--small", action="store_true", help="the smallest network only")
    parser.add_argument("--run", type=Path, help="run directory of a network to attack in place of those trained here")
    parser.add_argument("--csv", type=Path, help="where to write the rows")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    rows: list[dict[str, object]] = []
    with tempfile.TemporaryDirectory() as folder:
        for index, case in enumerate(SMALL if arguments.small or arguments.run else CASES):
            if arguments.run is None:
                network, data, about = (
                    train(case, Path(folder) / str(index)),
                    DataConfig(source="digits"),
                    case._asdict(),
                )
            else:
                network, data = load_network(arguments.run), training_data(arguments.run)
                about = {"network": arguments.run.name, "channels": "", "cells": ""}
            test = load_data(data, seed=0).test
            images, labels = test.floats()[: arguments.images], test.labels[: arguments.images]
            options = {key: getattr(arguments, key) for key in ("eps", "batch", "repeats")}
            rows += measure(about, network, images, labels, **options)
            # After each network, so that a killed run has not run for nothing.
            if arguments.csv:
                write_atomically(arguments.csv, csv_text([{**row, **origin("cpu")} for row in rows]))
    table = Table(title="AutoAttack standard on the CPU, 1 thread")
    for column in rows[0]:
        table.add_column(column, justify="left" if column in ("network", "variant") else "right", no_wrap=True)
    for row in rows:
        words = [f"{value:.2f}" if isinstance(value, float) else str(value or 0) for value in row.values()]
        table.add_row(*words, end_section=row["variant"] == list(VARIANTS)[-1])
    Console(width=140).print(table)
    for row in rows:
        different, attacked = float(str(row["different"])), float(str(row["images"]))
        if row["variant"] == "prepared" and different > MOST_DIFFERENT * attacked:
            sys.exit(
                f"{row['network']}, {row['variant']}: the verdicts differ for {different:g} of {attacked:g} images"
            )


if __name__ == "__main__":
    main()
