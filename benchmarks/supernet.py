"""Speed of the fused supernet: ratios to the plain reference, side by side in one process, with the floor beside them.

    python benchmarks/supernet.py [--device cpu] [--repeats 7] [--small] [--csv FILE]

Attack passes are forward and gradient in the images, in evaluation mode; the folded view's include a seventh of its
preparation, for PGD makes seven passes with one. Training passes are forward and gradient in all weights, in training
mode. The base is the reference in PyTorch's default layout; the ratio is the median of the ratios of single rounds, in
which all variants take turns. The floor is what a machine would need that did the reference's arithmetic at the rate
measured on a large matrix product, or that read and wrote the nodes of the cells once at the measured bandwidth, the
larger of the two, in milliseconds. "channels_last" is the reference in that layout; "folding alone" is the preparation.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median
from typing import NamedTuple

import torch
from rich.console import Console
from rich.progress import track
from rich.table import Table
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from rnas.reports.ledger import csv_text
from rnas.run.files import write_atomically
from rnas.run.provenance import origin
from rnas.spaces import darts
from rnas.supernets.darts.fused import FusedSupernet
from rnas.supernets.darts.reference import Supernet

ATTACK_STEPS = 7  # of the paper's PGD


class Size(NamedTuple):
    """A supernet and its input."""

    channels: int
    cells: int
    pixels: int
    batch: int


SMALL = [Size(4, 4, 8, 64), Size(8, 6, 8, 64)]
SIZES = [*SMALL, Size(16, 8, 8, 32), Size(8, 3, 16, 32), Size(16, 4, 32, 16)]


class Machine:
    """A device and its measured rates."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        side = 2048 if device.type == "cpu" else 8192
        matrix = torch.randn(side, side, device=device)
        vector = torch.randn(2**25, device=device)
        target = torch.empty_like(vector)
        #: Multiplications and additions a second.
        self.arithmetic = 2 * side**3 / min(self.seconds(lambda: matrix @ matrix) for _ in range(5))
        #: Bytes a second, read and written.
        self.bandwidth = 2 * 4 * len(vector) / min(self.seconds(lambda: target.copy_(vector)) for _ in range(5))

    def seconds(self, work: Callable[[], object]) -> float:
        """How long the work takes, the device's part included."""
        self.wait()
        start = time.perf_counter()
        work()
        self.wait()
        return time.perf_counter() - start

    def wait(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)


def attack_pass(model: Callable[..., Tensor], images: Tensor, *alpha: Tensor) -> None:
    """Forward, and gradient in the images."""
    images = images.detach().requires_grad_()
    torch.autograd.grad(model(images, *alpha).sum(), images)


def training_pass(model: Callable[..., Tensor], images: Tensor, alpha: Tensor) -> None:
    """Forward, and gradient in the weights."""
    model(images, alpha).square().mean().backward()


def floor(machine: Machine, reference: Supernet, images: Tensor, alpha: Tensor, *, gradients: int) -> float:
    """Seconds below which no pass can be done.

    Args:
        machine: whose rates to take.
        reference: the supernet, in evaluation mode.
        images: shape (N, 3, H, W).
        alpha: logits, shape (kinds, edges, operations).
        gradients: in how many of the two inputs of a convolution, maps and weights, the pass takes the gradient.
    """
    node_bytes: list[int] = []
    hooks = [
        cell.register_forward_hook(lambda _module, _inputs, output: node_bytes.append(output.nbytes))
        for cell in reference.cells
    ]
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        reference(images, alpha)
    for hook in hooks:
        hook.remove()
    # Each gradient of a convolution costs as much as the convolution. (The counter counts backward passes as well, but
    # those of grouped convolutions too high.) Forward and backward each write and read the nodes or their gradients.
    operations = (1 + gradients) * counter.get_total_flops()
    return max(operations / machine.arithmetic, 4 * sum(node_bytes) / machine.bandwidth)


def measure(machine: Machine, size: Size, repeats: int) -> list[dict[str, object]]:
    """Rows of the table for one size: a row a kind of pass and variant."""
    torch.manual_seed(0)
    shape = {"channels": size.channels, "cells": size.cells}
    reference = Supernet(10, **shape).to(machine.device)
    last = Supernet(10, **shape).to(machine.device)
    last = last.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    fused = FusedSupernet(10, **shape).to(machine.device)
    for supernet in (last, fused):
        supernet.load_state_dict(reference.state_dict())
    images = torch.rand(size.batch, 3, size.pixels, size.pixels, device=machine.device)
    alpha = torch.randn(len(darts.KINDS), len(darts.EDGES), len(darts.OPERATIONS), device=machine.device)
    weights = alpha.softmax(dim=-1)
    supernets = {"reference": reference, "channels_last": last, "fused": fused}

    times: dict[tuple[str, str], list[float]] = {}
    for round_ in range(repeats + 1):
        taken: dict[tuple[str, str], float] = {}
        for name, supernet in supernets.items():
            supernet.eval()
            taken["attack", name] = machine.seconds(partial(attack_pass, supernet, images, alpha))
        preparation = machine.seconds(partial(fused.folded, weights))
        single = machine.seconds(partial(attack_pass, fused.folded(weights), images))
        taken["attack", "folded"] = single + preparation / ATTACK_STEPS
        taken["attack", "folding alone"] = preparation
        for name, supernet in supernets.items():
            supernet.train()
            taken["training", name] = machine.seconds(partial(training_pass, supernet, images, alpha))
            supernet.zero_grad()
        if round_:  # the first one warms up
            for key, value in taken.items():
                times.setdefault(key, []).append(value)

    floors = {
        kind: floor(machine, reference.eval(), images, alpha, gradients=gradients)
        for kind, gradients in (("attack", 1), ("training", 2))
    }
    return [
        {
            **size._asdict(),
            "pass": kind,
            "variant": variant,
            "milliseconds": round(1e3 * median(values), 3),
            "ratio": round(
                median(base / value for base, value in zip(times[kind, "reference"], values, strict=True)), 3
            ),
            "floor_milliseconds": round(1e3 * floors[kind], 3),
        }
        for (kind, variant), values in times.items()
    ]


def show(rows: list[dict[str, object]], machine: Machine) -> None:
    """Print the rows as a table."""
    table = Table(title=f"Supernet passes on {machine.device}, {torch.get_num_threads()} threads")
    for column in ("C", "cells", "px", "batch", "pass", "variant", "ms", "ratio", "floor"):
        table.add_column(column, justify="left" if column in ("pass", "variant") else "right", no_wrap=True)
    for row, after in zip(rows, [*rows[1:], None], strict=True):
        # One decimal is what repeats.
        values = [f"{value:.1f}" if isinstance(value, float) else str(value) for value in row.values()]
        table.add_row(*values, end_section=after is not None and after["pass"] != row["pass"])
    Console().print(table)
    rates = f"{machine.arithmetic / 1e9:.0f} GFLOP/s in a matrix product, {machine.bandwidth / 1e9:.0f} GB/s in a copy"
    Console().print(f"Floors from {rates}.")


def main() -> None:
    """Measure on each device, print, and write the rows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", action="append", help="cpu, cuda, ...; all there are without it")
    parser.add_argument("--repeats", type=int, default=7, help="rounds that are measured")
    parser.add_argument("--small", action="store_true", help="the two smallest sizes only")
    parser.add_argument("--csv", type=Path, help="where to write the rows")
    arguments = parser.parse_args()
    devices = arguments.device or ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
    lines: list[dict[str, object]] = []
    for device in devices:
        machine = Machine(torch.device(device))
        sizes = SMALL if arguments.small else SIZES
        rows = [
            row
            for size in track(sizes, "measuring", console=Console(stderr=True))
            for row in measure(machine, size, arguments.repeats)
        ]
        show(rows, machine)
        lines += [{**row, **origin(device)} for row in rows]
    if arguments.csv:
        write_atomically(arguments.csv, csv_text(lines))


if __name__ == "__main__":
    main()
