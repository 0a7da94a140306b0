"""The training loop of a fixed network.

A step's batch, augmentation and attack are functions of the seed and the step alone, so a killed run that is opened
again ends with the weights of an uninterrupted one: identical on a CPU, and on a GPU with deterministic kernels.
"""

from __future__ import annotations

import torch
from torch import nn

from rnas.checkpoints import save_weights
from rnas.data import Batches, DataConfig, ImageDataset
from rnas.errors import DataError, ModelError
from rnas.networks.normalise import Normalise
from rnas.objectives import OBJECTIVES
from rnas.progress import reporting
from rnas.runs import Run
from rnas.seeding import derive
from rnas.training.config import TrainingConfig
from rnas.training.optimiser import WeightOptimiser

__all__ = ["train"]


def train(
    network: nn.Module,
    data: ImageDataset,
    config: TrainingConfig,
    run: Run,
    *,
    augmentation: DataConfig | None = None,
    device: torch.device | str = "cpu",
    checkpoint_every: int = 100,
) -> None:
    """Train a network, or go on with it where a killed run stopped; its weights end in `run` as weights.safetensors.

    Args:
        network: takes images in [0, 1], shape (N, C, H, W), and returns logits; fresh weights. A first layer of type
            `Normalise`, as the zoo's networks have it, is fitted to the training images.
        data: the images; only its training half is seen.
        config: objective, optimiser, length.
        run: the open run directory; its seed decides batches, augmentation and attacks.
        augmentation: crop and flip; None for the data set's own.
        device: where to train.
        checkpoint_every: steps between two checkpoints; one is also written at each epoch's end.

    Raises:
        DataError: if there are too few images.
        ModelError: if the network's logits do not fit the number of classes.
        DivergenceError: if the loss is no longer finite; names the last good checkpoint.
    """
    if len(data.train) < 2:
        raise DataError(f"{data.name}: training needs at least 2 images, there are {len(data.train)}")
    seed = run.manifest["seed"]
    objective = OBJECTIVES[config.objective]
    normalise = getattr(network, "normalise", None)
    if isinstance(normalise, Normalise):
        normalise.fit(data.train.images)
    # On CPUs the backward pass of depthwise convolutions is several times faster in this layout.
    network = network.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    augmentation = augmentation or DataConfig()
    padding, flip = augmentation.padding_for(data.size[0]), augmentation.flip_for(data.flip)
    batches = Batches(
        data.train.to(device), config.batch_size, seed=derive(seed, "batches"), padding=padding, flip=flip
    )
    steps = config.epochs * len(batches)
    optimiser = WeightOptimiser(network, config, steps)
    start = 0
    if (state := run.load_checkpoint()) is not None:
        network.load_state_dict(state["network"])
        optimiser.restore(state["optimiser"])
        start = state["step"]
    with reporting(f"training {run.path.name}", steps, start=start) as progress:
        for step in range(start, steps):
            images, labels = batches.at(step)
            generator = torch.Generator(device).manual_seed(derive(seed, "training", step))
            network.train()
            rate = optimiser.learning_rate
            with run.step(step):
                loss, logits = objective(network, images, labels, attack=config.attack, generator=generator)
                if step == start and logits.shape != (len(images), data.num_classes):
                    raise ModelError(
                        f"the network returns {tuple(logits.shape)}, expected logits for {data.num_classes} classes: "
                        f"{(len(images), data.num_classes)}"
                    )
                value = optimiser.step(loss)
            accuracy = float((logits.detach().argmax(dim=1) == labels).float().mean())
            epoch = step // len(batches)
            run.log("step", step=step, epoch=epoch, loss=value, accuracy=accuracy, learning_rate=rate)
            done = step + 1
            if done % checkpoint_every == 0 or done % len(batches) == 0:
                run.save_checkpoint({"step": done, "network": network.state_dict(), "optimiser": optimiser.state()})
            progress.update(done, epoch=f"{epoch + 1}/{config.epochs}", loss=value, accuracy=accuracy)
    save_weights(run.path / "weights.safetensors", network)
