"""Speed of one PGD-AT step of ours, as ratios to a plain loop, side by side in one process.

    python benchmarks/training.py [--device cpu] [--repeats 5] [--small] [--csv FILE]

A step is PGD-7 on a batch, then forward, backward, and SGD with momentum. "plain" is written as published training
codes write it: eager, float32, PyTorch's default layout, the attack in training mode and by `backward`, which also
computes weight gradients that nobody uses. "plain, images only" is the same with the attack in evaluation mode and
gradients in the images alone: it makes the examples of "ours" but for rounding. "ours" is what `rnas train` does in a
step, checks and clipping included: channels_last, and the attack on a folded view in evaluation mode. Batches are
ready before the clock starts.

The ratio is the median of the ratios of single rounds, in which all variants take turns.
"""

from __future__ import annotations

import argparse
import copy
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import NamedTuple

import torch
from rich.console import Console
from rich.progress import track
from rich.table import Table
from torch import Tensor, nn
from torch.nn import functional as F

from rnas.config import PgdConfig
from rnas.networks import zoo
from rnas.objectives import OBJECTIVES
from rnas.reports.ledger import csv_text
from rnas.run.files import write_atomically
from rnas.run.provenance import origin
from rnas.training.config import TrainingConfig
from rnas.training.optimiser import WeightOptimiser
from rnas.training.step import TrainingStep

ATTACK = PgdConfig()  # the paper's
BASE = "plain"


class Case(NamedTuple):
    """A network and its batch."""

    network: str
    channels: int
    cells: int | None
    pixels: int
    batch: int


SMALL = [Case("resnet18", 8, None, 8, 64), Case("darts_v2", 4, 20, 8, 32)]
CASES = [*SMALL, Case("resnet18", 16, None, 32, 64), Case("darts_v2", 8, 20, 32, 32)]

#: A step on images (N, 3, H, W) and labels (N,).
Step = Callable[[Tensor, Tensor], None]


def plain(network: nn.Module, *, images_only: bool) -> Step:
    """A step as published codes write it."""
    sgd = torch.optim.SGD(network.parameters(), lr=0.01, momentum=0.9, weight_decay=3e-4)

    def gradient(images: Tensor, labels: Tensor) -> Tensor:
        images.requires_grad_()
        loss = F.cross_entropy(network(images), labels)
        if images_only:
            return torch.autograd.grad(loss, images)[0]
        loss.backward()
        assert images.grad is not None
        return images.grad

    def step(images: Tensor, labels: Tensor) -> None:
        network.train(not images_only)
        adversarial = images + ATTACK.eps * (2 * torch.rand_like(images) - 1)
        for _ in range(ATTACK.steps):
            adversarial = adversarial.detach().clamp(0, 1)
            moved = adversarial + ATTACK.step_size * gradient(adversarial, labels).sign()
            adversarial = torch.minimum(torch.maximum(moved.detach(), images - ATTACK.eps), images + ATTACK.eps)
        network.train()
        loss = F.cross_entropy(network(adversarial.clamp(0, 1)), labels)
        sgd.zero_grad()
        loss.backward()
        sgd.step()

    return step


def ours(network: nn.Module) -> Step:
    """A step as `rnas.training.loop` makes it."""
    config = TrainingConfig(attack=ATTACK)
    network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    step_loss = TrainingStep(network, OBJECTIVES["pgd_at"](config), config)
    optimiser = WeightOptimiser(network, config, steps=10**6)

    def step(images: Tensor, labels: Tensor) -> None:
        images = images.contiguous(memory_format=torch.channels_last)
        generator = torch.Generator(images.device).manual_seed(0)
        loss, _ = step_loss.loss(images, labels, generator, None)
        optimiser.step(loss)

    return step


def measure(case: Case, device: torch.device, repeats: int) -> list[dict[str, object]]:
    """Rows of the table for one network: a row a variant."""
    torch.manual_seed(0)
    network = zoo.build(case.network, 10, channels=case.channels, cells=case.cells).to(device)
    images = torch.rand(case.batch, 3, case.pixels, case.pixels, device=device)
    labels = torch.randint(10, (case.batch,), device=device)
    variants = {
        BASE: plain(copy.deepcopy(network), images_only=False),
        "plain, images only": plain(copy.deepcopy(network), images_only=True),
        "ours": ours(network),
    }
    times: dict[str, list[float]] = {name: [] for name in variants}
    for round_ in range(repeats + 1):
        for name, step in variants.items():
            start = seconds(device)
            step(images, labels)
            taken = seconds(device) - start
            if round_:  # the first one warms up
                times[name].append(taken)
    return [
        {
            **case._asdict(),
            "variant": name,
            "images_per_second": round(case.batch / median(values), 2),
            "ratio": round(median(base / value for base, value in zip(times[BASE], values, strict=True)), 3),
        }
        for name, values in times.items()
    ]


def seconds(device: torch.device) -> float:
    """The time, once the device has done all that it was given."""
    if device.type != "cpu":
        torch.accelerator.synchronize(device)
    return time.perf_counter()


def show(rows: list[dict[str, object]], device: str) -> None:
    """Print the rows as a table."""
    table = Table(title=f"PGD-{ATTACK.steps} training steps on {device}, {torch.get_num_threads()} threads")
    for column in ("network", "C", "cells", "px", "batch", "variant", "images/s", "ratio"):
        table.add_column(column, justify="left" if column in ("network", "variant") else "right", no_wrap=True)
    for row in rows:
        # One decimal is what repeats.
        words = [f"{value:.1f}" if isinstance(value, float) else str(value or "") for value in row.values()]
        table.add_row(*words, end_section=row["variant"] == "ours")
    Console().print(table)


def main() -> None:
    """Measure on each device, print, and write the rows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", action="append", help="cpu, cuda, ...; all there are without it")
    parser.add_argument("--repeats", type=int, default=5, help="rounds that are measured")
    parser.add_argument("--small", action="store_true", help="images of 8x8 pixels only")
    parser.add_argument("--csv", type=Path, help="where to write the rows")
    arguments = parser.parse_args()
    lines: list[dict[str, object]] = []
    for device in arguments.device or ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]:
        rows = [
            row
            for case in track(SMALL if arguments.small else CASES, "measuring", console=Console(stderr=True))
            for row in measure(case, torch.device(device), arguments.repeats)
        ]
        show(rows, device)
        lines += [{**row, **origin(device)} for row in rows]
    if arguments.csv:
        write_atomically(arguments.csv, csv_text(lines))


if __name__ == "__main__":
    main()
