"""Prepare the work of a stage: open its run directory, choose a device, and set how it computes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from rnas.commands.config import RunCommand
from rnas.config import plain
from rnas.devices import select_device
from rnas.progress import announce
from rnas.reproducibility import computing
from rnas.run.directory import Run
from rnas.run.manifest import Judge
from rnas.run.opening import open_run
from rnas.terminal import warn

__all__ = ["stage", "warn_of_small_data"]


@contextmanager
def stage(command: RunCommand, kind: str, judge: Judge | None = None) -> Iterator[tuple[Run, torch.device]]:
    """Open the run directory of a command and choose the device to compute on; `judge` goes to `open_run`."""
    device = select_device(command.device)
    announce(f"{kind}: {command.out} on {device}")
    with (
        computing(command.threads, deterministic=command.deterministic, device=device.type),
        open_run(Path(command.out), kind, plain(command), seed=command.seed, device=str(device), judge=judge) as run,
    ):
        yield run, device


def warn_of_small_data(setting: str, batch_size: int, images: int) -> None:
    """Say so where there are fewer images than a batch asks for; of one image there is an error."""
    if 1 < images < batch_size:
        warn(f"warning: {setting} is {batch_size}, there are {images} images to train on: each step takes all of them")
