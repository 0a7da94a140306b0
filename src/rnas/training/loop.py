"""The training loop of a fixed network.

A step's batch, augmentation and attack are functions of the seed and the step alone, so a killed run that is opened
again ends with the weights of an uninterrupted one: identical on a CPU, and on a GPU with deterministic kernels.
Several processes (`rnas.parallel`) end with the weights of one, up to the order of sums.
"""

from __future__ import annotations

import torch
from torch import nn

from rnas import parallel
from rnas.config import require
from rnas.data import Batches, DataConfig, ImageDataset, LabelledImages, stratified_subset
from rnas.errors import ConfigError, DataError, ModelError
from rnas.networks.cells import CellNetwork
from rnas.networks.layout import use_channels_last
from rnas.networks.normalise import Normalise
from rnas.objectives import OBJECTIVES
from rnas.progress import reporting
from rnas.run.directory import Run
from rnas.seeding import derive
from rnas.training.advice import advise_weights
from rnas.training.cells import Auxiliary, DropPath
from rnas.training.collapse import CollapseCheck
from rnas.training.config import CellTrainingConfig, TrainingConfig
from rnas.training.optimiser import WeightOptimiser
from rnas.training.state import TrainingState, moving_average
from rnas.training.step import TrainingStep
from rnas.training.validation import Validation

__all__ = ["check_images", "train"]


def train(
    network: nn.Module,
    data: ImageDataset,
    config: TrainingConfig,
    run: Run,
    *,
    augmentation: DataConfig | None = None,
    device: torch.device | str = "cpu",
    checkpoint_every: int = 100,
    rate_name: str = "learning_rate",
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
        rate_name: what the user's settings call the learning rate, for advice after a divergence.

    Raises:
        DataError: if there are too few images.
        ConfigError: if what only cells can be trained with is asked of a network without cells, or cutout is larger
            than the images.
        ModelError: if the network's logits do not fit the number of classes.
        DivergenceError: if the loss or a weight is no longer finite, or the network has collapsed; names the last good
            checkpoint.
    """
    seed = run.manifest["seed"]
    check_images(data, config)
    images, held_out = split(data, config, run)
    normalise = getattr(network, "normalise", None)
    if isinstance(normalise, Normalise):
        normalise.fit(images.images)
    network = network.to(device)
    # On CPUs the backward pass of depthwise convolutions is several times faster in this layout.
    use_channels_last(network)
    images, held_out = images.to(device), held_out.to(device)
    augmentation = augmentation or DataConfig()
    batches = Batches(
        images,
        config.batch_size,
        seed=derive(seed, "batches"),
        padding=augmentation.padding_for(data.size[0]),
        flip=augmentation.flip_for(data.flip),
        cutout=config.cutout,
    )
    objective = OBJECTIVES[config.objective](config)
    steps = config.epochs * len(batches)
    # Copies of the network are made before it gets hooks, which are for its own training passes.
    step_loss = TrainingStep(network, objective, config)
    average = None if config.average_decay is None else moving_average(network, config.average_decay)
    drop_path, auxiliary = train_cells(network, config.cells, data.num_classes, seed=seed, device=device)
    trained = network if auxiliary is None else nn.ModuleList([network, auxiliary])
    parallel.follow(trained.state_dict().values())
    parallel.synchronise(trained)
    state = TrainingState(
        network=network,
        optimiser=WeightOptimiser(trained, config, steps, schedule=config.schedule),
        average=average,
        auxiliary=auxiliary,
        validation=choose_epoch(held_out, config, seed=seed),
        collapse=watch(images, config, seed=seed) if objective.single_step else None,
    )
    if (saved := parallel.from_first(run.load_checkpoint)) is not None:
        state.restore(saved)
        if saved["run"] != run.identity:  # the schedule was changed meanwhile
            state.optimiser.reschedule(state.step)

    def advise() -> str:
        fault = objective.fault()
        return f"a smaller {fault}" if fault and config.learning_rate <= 1 else advise_weights(config, rate_name)

    start = state.step
    with reporting(f"training {run.path.name}", steps, start=start) as progress:
        while state.step < steps and not state.exhausted:
            step, epoch = state.step, state.step // len(batches)
            rate = state.optimiser.learning_rate
            with run.step(step, advise), parallel.part_of(batches.batch_size):
                batch, labels = map(parallel.own, batches.at(step))
                generator = parallel.generator(device, derive(seed, "training", step))
                if drop_path is not None:
                    drop_path.set(step / steps, parallel.generator(device, derive(seed, "drop path", step)))
                objective.progress = step / steps
                loss, logits = step_loss.loss(batch, labels, generator, auxiliary)
                if step == start and logits.shape != (len(batch), data.num_classes):
                    raise ModelError(
                        f"the network returns {tuple(logits.shape)}, expected logits for {data.num_classes} classes: "
                        f"{(len(batch), data.num_classes)}"
                    )
                value = state.optimiser.step(loss)
                right = (logits.detach().argmax(dim=1) == labels).float().mean()
                shown = {"loss": value} | parallel.means({"accuracy": float(right)})
            state.advance()
            run.log("step", step=step, epoch=epoch, **shown, learning_rate=rate)
            ended = state.step % len(batches) == 0
            if ended or state.step % checkpoint_every == 0:
                with run.step(step, advise):
                    measured = state.examine(ended=ended)
                if measured:
                    run.log("epoch", step=step, epoch=epoch, **measured)
                    shown |= measured
                run.save_checkpoint(state.save())
            progress.update(state.step, epoch=f"{epoch + 1}/{config.epochs}", **shown)
    if state.step < steps and state.validation is not None:
        epoch = state.step // len(batches)
        kept = epoch - state.validation.epochs_since
        counts = {"epoch": epoch, "epochs": config.epochs, "patience": config.validation.patience, "kept": kept}
        run.manifest["early_stop"] = counts
    state.finish()
    run.write_tensors("weights.safetensors", network.state_dict())


def check_images(data: ImageDataset, config: TrainingConfig) -> None:
    """Check that a data set can be trained on as configured.

    Raises:
        DataError: if there are too few images.
        ConfigError: if cutout is larger than the images.
    """
    count, held = len(data.train), config.validation.images
    if count - held < 2:
        needed = f" beside the {held} of training.validation.images" if held else ""
        raise DataError(f"{data.name}: training needs at least 2 images{needed}, there are {count}")
    side = min(data.size)
    expected = f"0 to {side}, the side of the images of {data.name}"
    require(config.cutout <= side, "training.cutout", expected, config.cutout)


def split(data: ImageDataset, config: TrainingConfig, run: Run) -> tuple[LabelledImages, LabelledImages]:
    """The images to train on, and those held out for validation; which these are stands in the run's splits.json."""
    count, held = len(data.train), config.validation.images
    if held == 0:
        # Of an attempt that failed before its first step, with other settings.
        (run.path / "splits.json").unlink(missing_ok=True)
        return data.train, data.train.select([])
    chosen = torch.zeros(count, dtype=torch.bool)
    chosen[stratified_subset(data.train.labels, held, derive(run.manifest["seed"], "validation"))] = True
    train, validation = (part.nonzero().flatten() for part in (~chosen, chosen))
    # Positions among the training images, as `load` gives them.
    document = {"data": data.fingerprint, "train_images": count}
    run.write_json("splits.json", {**document, "train": train.tolist(), "validation": validation.tolist()})
    return data.train.select(train), data.train.select(validation)


def train_cells(
    network: nn.Module, config: CellTrainingConfig, num_classes: int, *, seed: int, device: torch.device | str
) -> tuple[DropPath | None, Auxiliary | None]:
    """Drop-path and the auxiliary classifier on a network, where they are asked for."""
    if config == CellTrainingConfig():
        return None, None
    if not isinstance(network, CellNetwork):
        raise ConfigError(
            f"training.cells: expected auxiliary_weight and drop_path of 0, as {type(network).__name__} is not made "
            f"of cells as DARTS has them, got {config.auxiliary_weight} and {config.drop_path}"
        )
    drop_path = DropPath(network, config.drop_path) if config.drop_path else None
    auxiliary = None
    if config.auxiliary_weight:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(derive(seed, "auxiliary"))
            auxiliary = Auxiliary(network, num_classes).to(device)
    return drop_path, auxiliary


def choose_epoch(held_out: LabelledImages, config: TrainingConfig, *, seed: int) -> Validation | None:
    """Validation on the images held out, if there are any."""
    if len(held_out) == 0:
        return None
    return Validation(
        held_out,
        config.attack,
        batch_size=config.batch_size,
        patience=config.validation.patience,
        seed=derive(seed, "validation attack"),
    )


def watch(images: LabelledImages, config: TrainingConfig, *, seed: int) -> CollapseCheck:
    """A check for catastrophic overfitting on a batch of training images."""
    chosen = stratified_subset(images.labels, config.batch_size, derive(seed, "collapse"))
    batch = images.select(chosen)
    return CollapseCheck(
        batch.floats(),
        batch.labels,
        config.attack,
        least=config.fast_at.collapse,
        seed=derive(seed, "collapse attack"),
    )
