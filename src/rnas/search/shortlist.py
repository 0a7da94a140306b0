"""The end of a search: the derived network, or the best of some candidates after a short adversarial training of each.

Weights that a supernet shares order networks badly; those that a network has trained by itself, if only for a short
time, do it much better (docs/log.md). So each candidate is trained on the theta half at the supernet's width and depth,
and the problem of Eq. 8 is solved among them, on a fixed sample of the alpha half: of those with F <= H the one of the
lowest adversarial loss, where H is such that a given share of the candidates is kept.
"""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

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
from rnas.run.directory import Run
from rnas.run.files import read_summary, refuse_link
from rnas.run.opening import open_run
from rnas.search.algorithm import Algorithm, Batch, SearchState
from rnas.search.config import SearchConfig
from rnas.seeding import derive
from rnas.training.config import ScheduleConfig, TrainingConfig
from rnas.training.loop import train
from rnas.vulnerability.metrics import network_vulnerability

__all__ = ["choose"]

#: Draws for each candidate that is wanted; in a small space or under a tight limit there may be no more of them.
DRAWS = 50

#: What is read of a candidate's results.json.
MEASURED: dict[str, tuple[type, ...]] = {
    **dict.fromkeys(("F", "adversarial_loss"), (int, float)),
    **dict.fromkeys(("training_passes", "measuring_passes"), (int,)),
}


def choose(
    algorithm: Algorithm,
    state: SearchState,
    data: ImageDataset,
    sample: Batch,
    run: Run,
    *,
    augmentation: DataConfig,
    device: torch.device | str,
    checkpoint_every: int,
) -> tuple[Genotype, list[dict[str, Any]]]:
    """The genotype that the search ends with.

    Args:
        algorithm: proposes the candidates.
        state: the search at its end; the passes of the trainings are added to its count.
        data: its training images are the theta half.
        sample: validation images that decide.
        run: the search's run directory; each candidate is a run directory below it, so a killed choice goes on.
        augmentation: crop and flip.
        device: where to train.
        checkpoint_every: steps between two checkpoints.

    Returns:
        The genotype, and what was measured of each candidate, in the order of proposal; empty if there was one only.
    """
    config, seed = algorithm.config, run.manifest["seed"]
    genotypes = propose(algorithm, state, seed)
    candidates = run.path / "candidates"
    refuse_link(candidates)
    if len(genotypes) == 1:
        return genotypes[0], []
    measured = []
    for index, genotype in enumerate(genotypes):
        training = short_training(config)
        settings = {"genotype": genotype.cells_document(), "training": plain(training)}
        folder = candidates / str(index)
        refuse_link(folder)
        candidate_seed = derive(seed, "candidate", index)
        with open_run(folder, "train", settings, seed=candidate_seed, device=str(device)) as candidate:
            if not candidate.complete(partial(read_summary, fields=MEASURED)):
                spec = NetworkSpec(None, genotype, data.num_classes, data.channels, config.channels, config.cells)
                spec.save(candidate.path, run=candidate.identity)
                train(
                    spec.build(seed=derive(candidate_seed, "network")),
                    data,
                    training,
                    candidate,
                    augmentation=augmentation,
                    device=device,
                    checkpoint_every=checkpoint_every,
                    rate_name="shortlist.learning_rate",
                )
                passes = training.epochs * max(1, len(data.train) // training.batch_size) * (training.attack.steps + 1)
                measures = measure(candidate.path, sample, config, device)
                candidate.write_json(
                    "results.json", {"parameters": state.space.size(genotype), "training_passes": passes, **measures}
                )
                candidate.finish()
        summary = parallel.from_first(partial(read_summary, candidate.path, MEASURED))
        measured.append({name: value for name, value in summary.items() if is_number(value)})
        state.passes += measured[-1]["training_passes"] + measured[-1]["measuring_passes"]
    return genotypes[best(measured, config.shortlist.keep)], measured


def best(measured: list[dict[str, Any]], keep: float) -> int:
    """The position of the candidate with the lowest adversarial loss, of the given share with the lowest F."""
    order = sorted(range(len(measured)), key=lambda index: measured[index]["F"])
    kept = order[: math.ceil(keep * len(order))]
    return min(kept, key=lambda index: measured[index]["adversarial_loss"])


def propose(algorithm: Algorithm, state: SearchState, seed: int) -> list[Genotype]:
    """Distinct candidates, the derived network first; fewer than asked for where there are no more."""
    config = algorithm.config
    at_most = state.space.at_most(config.size_limit)
    found: dict[Genotype, None] = {}
    for index in range(DRAWS * config.shortlist.count):
        generator = torch.Generator().manual_seed(derive(seed, "candidate", index, "draw"))
        drawn = algorithm.candidate(state, index, at_most, generator)
        found.setdefault(replace(drawn, space=state.space.name))
        if len(found) == config.shortlist.count:
            break
    return list(found)


def short_training(config: SearchConfig) -> TrainingConfig:
    """PGD adversarial training with the search's attack and optimiser, in one cycle of the learning rate."""
    return TrainingConfig(
        objective="pgd_at",
        attack=config.attack,
        epochs=config.shortlist.epochs,
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
    layers = [name for name, _ in network.named_modules() if name.startswith("cells.") and name.count(".") == 1]
    totals = dict.fromkeys(("clean_loss", "adversarial_loss", "clean_accuracy", "robust_accuracy", "F"), 0.0)
    noise = torch.Generator(sample.labels.device)
    noise.set_state(sample.generator.get_state())
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
