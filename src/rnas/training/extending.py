"""Which trainings can go on with more epochs: those that end as if they had been that long from the beginning."""

from __future__ import annotations

import shutil
from pathlib import Path

from rnas.errors import RunError
from rnas.run.checkpoints import load_checkpoint
from rnas.training.config import BOUNDING, TrainingConfig
from rnas.training.schedules import course

__all__ = ["check_extension", "put_aside"]

#: What belongs to the weights that a training ended with.
OF_THE_WEIGHTS = ("weights.safetensors", "results.json", "outcomes.parquet", "adversarial", "certificates.parquet")


def check_extension(path: Path, before: TrainingConfig, now: TrainingConfig, images: int) -> None:
    """Check that the steps that a training has made are those of one with other epochs or another schedule.

    Args:
        path: the run directory.
        before: its settings so far.
        now: its settings from here on; they differ in epochs and schedule only.
        images: that are trained on.

    Raises:
        RunError: if they are not, or there is no checkpoint to go on from.
    """
    done = load_checkpoint(path / "checkpoint.pt")["step"]
    an_epoch = max(1, images // now.batch_size)
    first, second = (config.epochs * an_epoch for config in (before, now))
    asked, choose = f"training.epochs = {now.epochs}", "choose another --out"
    if second < done:
        raise RunError(f"{path} has made {done} steps, {asked} are {second}: {choose}")
    rises = "training.cells.drop_path" if now.cells.drop_path else f"the eps of {now.objective}"
    if (now.cells.drop_path or now.objective in BOUNDING) and first != second:
        raise RunError(
            f"{path} cannot go on with {asked}: {rises} rises over all epochs, and rose over {before.epochs}; {choose}"
        )
    rates = [
        course(config.schedule, config.learning_rate, steps, done)[0][:done]
        for config, steps in ((before, first), (now, second))
    ]
    if rates[0] != rates[1]:
        step = next(step for step, (old, new) in enumerate(zip(*rates, strict=True)) if old != new)
        raise RunError(
            f"{path} cannot go on with {asked}: under its schedule ({now.schedule.name}) a training of that length has "
            f"another learning rate at step {step}, {rates[1][step]:.3g} for {rates[0][step]:.3g}; only piecewise ones "
            f"can be extended, with milestones at the same steps; {choose}"
        )


def put_aside(path: Path, epochs: int) -> None:
    """Move what belongs to the weights so far into a folder of the run: it is of another network from now on.

    Args:
        path: the run directory.
        epochs: those that the weights were trained for.
    """
    folder = path / "earlier" / f"{epochs}-epochs"
    for name in OF_THE_WEIGHTS:
        if (path / name).exists():
            folder.mkdir(parents=True, exist_ok=True)
            shutil.move(path / name, folder / name)
