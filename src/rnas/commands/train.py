"""`rnas train`: train a network, or make its training longer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from rnas import parallel
from rnas.commands.checks import check_network, check_training
from rnas.commands.comparing import load_data
from rnas.commands.config import TrainCommand
from rnas.commands.stage import stage, warn_of_small_data
from rnas.errors import ConfigError, RunError
from rnas.models.spec import NetworkSpec
from rnas.objectives import OBJECTIVES
from rnas.run.checkpoints import read_weights
from rnas.run.manifest import Changes, early_stop, refuse
from rnas.seeding import derive
from rnas.terminal import warn
from rnas.training.config import ScheduleConfig
from rnas.training.extending import check_extension, put_aside
from rnas.training.loop import train

__all__ = ["read_training", "run_training"]


def read_training(folder: Path) -> None:
    """Make sure that a trained network can be read; raises an RnasError if not."""
    NetworkSpec.load(folder)
    read_weights(folder / "weights.safetensors")


def run_training(command: TrainCommand) -> Path:
    """Train as configured; a finished training is not repeated.

    Args:
        command: images, network and training, and the run directory.

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
            for name, content in OBJECTIVES[training.objective](training).inputs.items():
                run.record(name, parallel.agreed(name, content))
            run.record("cells", "none" if spec.genotype is None else spec.genotype.fingerprint)
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
