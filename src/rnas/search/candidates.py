"""A candidate by itself: its short adversarial training in a run directory of its own, and what is measured then."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from torch.nn import functional as F

from rnas import parallel
from rnas.attacks import pgd_linf
from rnas.config import plain
from rnas.data import DataConfig, ImageDataset
from rnas.data.batches import in_batches
from rnas.documents import is_number
from rnas.genotype import Genotype
from rnas.models.spec import NetworkSpec, load_network
from rnas.run.files import read_summary, refuse_link
from rnas.run.opening import open_run
from rnas.search.algorithm import Batch, Preparation, SearchState
from rnas.search.config import SearchConfig
from rnas.seeding import derive
from rnas.supernets.space import SPACES
from rnas.training.config import ScheduleConfig, TrainingConfig
from rnas.training.loop import train
from rnas.vulnerability.feature_maps import cell_layers
from rnas.vulnerability.metrics import network_vulnerability

__all__ = ["Trial", "measures_of", "perform", "short_training"]

#: What is read of a candidate's results.json.
MEASURED: dict[str, tuple[type, ...]] = {
    **dict.fromkeys(("F", "adversarial_loss"), (int, float)),
    **dict.fromkeys(("training_passes", "measuring_passes"), (int,)),
}


@dataclass(frozen=True)
class Trial:
    """A training and a measurement that need no other. `perform` makes them, and leaves them in the folder.

    Args:
        folder: the candidate's run directory.
        genotype: its cells.
        seed: decides its weights, batches and attacks.
        epochs: of its training.
        config: of the search: width, depth, attack, optimiser, metric.
        data: its training images.
        sample: images that it is measured on, (N, C, H, W), their labels, and the noise of the attack.
        augmentation: crop and flip.
        device: where.
        checkpoint_every: steps between two checkpoints.
    """

    folder: Path
    genotype: Genotype
    seed: int
    epochs: int
    config: SearchConfig
    data: ImageDataset
    sample: Batch
    augmentation: DataConfig
    device: torch.device | str
    checkpoint_every: int

    @classmethod
    def of(
        cls, folder: Path, genotype: Genotype, seed: int, epochs: int, config: SearchConfig, search: Preparation
    ) -> Trial:
        """A trial with a search's images and device; arguments are those of the class."""
        return cls(
            folder,
            genotype,
            seed,
            epochs,
            config,
            search.data,
            search.sample,
            search.augmentation,
            search.device,
            search.checkpoint_every,
        )


def perform(trial: Trial) -> None:
    """Train and measure a candidate; what is finished is not repeated, and a killed training goes on.

    Raises:
        RunError: if the folder holds something else, or is damaged.
        DivergenceError: if the training diverges.
    """
    config, data = trial.config, trial.data
    training = short_training(config, trial.epochs)
    settings = {"genotype": trial.genotype.cells_document(), "training": plain(training)}
    refuse_link(trial.folder)
    with open_run(trial.folder, "train", settings, seed=trial.seed, device=str(trial.device)) as run:
        if run.complete(partial(read_summary, fields=MEASURED)):
            return
        channels, cells = config.shortlist.channels or config.channels, config.shortlist.cells or config.cells
        spec = NetworkSpec(None, trial.genotype, data.num_classes, data.channels, channels, cells)
        spec.save(run.path, run=run.identity)
        train(
            spec.build(seed=derive(trial.seed, "network")),
            data,
            training,
            run,
            augmentation=trial.augmentation,
            device=trial.device,
            checkpoint_every=trial.checkpoint_every,
            rate_name="shortlist.learning_rate",
        )
        passes = training.epochs * max(1, len(data.train) // training.batch_size) * (training.attack.steps + 1)
        found = {
            "parameters": SPACES[config.space].size(trial.genotype),
            "training_passes": passes,
            **measure(run.path, trial.sample, config, trial.device),
        }
        run.write_json("results.json", found)
        run.finish()


def measures_of(folder: Path, state: SearchState) -> dict[str, float]:
    """Read the measures of `perform`, and count its passes to the search's.

    Raises:
        RunError: if it is missing or damaged.
    """
    summary = parallel.from_first(partial(read_summary, folder, MEASURED))
    state.passes += summary["training_passes"] + summary["measuring_passes"]
    return {name: value for name, value in summary.items() if is_number(value)}


def short_training(config: SearchConfig, epochs: int) -> TrainingConfig:
    """PGD adversarial training with the search's attack and optimiser, in one cycle of the learning rate."""
    return TrainingConfig(
        objective="pgd_at",
        attack=config.attack,
        epochs=epochs,
        batch_size=config.batch_size,
        learning_rate=config.shortlist.learning_rate,
        schedule=ScheduleConfig("one_cycle"),
        momentum=config.momentum,
        weight_decay=config.weight_decay,
        gradient_clip=config.gradient_clip,
    )


def measure(folder: Path, sample: Batch, config: SearchConfig, device: torch.device | str) -> dict[str, float]:
    """Losses, accuracies and F of a trained candidate on the sample, and the passes that this took."""
    network = load_network(folder).to(device)
    layers = cell_layers(network)
    totals = dict.fromkeys(("clean_loss", "adversarial_loss", "clean_accuracy", "robust_accuracy", "F"), 0.0)
    noise = sample.noise()
    passes = 0
    for rows, share in in_batches(len(sample.labels), config.batch_size):
        images, labels = sample.images[rows], sample.labels[rows]
        adversarial = pgd_linf(network, images, labels, **vars(config.attack), generator=noise)
        with torch.no_grad():
            for name, logits in (("clean", network(images)), ("adversarial", network(adversarial))):
                totals[f"{name}_loss"] += share * float(F.cross_entropy(logits, labels))
                accuracy = "clean_accuracy" if name == "clean" else "robust_accuracy"
                totals[accuracy] += share * float((logits.argmax(dim=1) == labels).float().mean())
            value = network_vulnerability(network, layers, images, adversarial, metric=config.shortlist.metric)
            totals["F"] += share * float(value)
        passes += config.attack.steps + 4
    return {**totals, "measuring_passes": passes}
