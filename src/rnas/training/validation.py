"""Which epoch's weights are kept: those most accurate under PGD on images that training does not see.

References:
    Rice et al. 2020, "Overfitting in adversarially robust deep learning" (https://arxiv.org/abs/2002.11569), Section 4:
    robust accuracy falls again after the rate has decayed, and a held-out set finds the epoch before.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from rnas import parallel
from rnas.attacks import pgd_linf
from rnas.attacks.guards import evaluation_mode
from rnas.config import PgdConfig
from rnas.data import LabelledImages
from rnas.data.batches import in_batches

__all__ = ["Validation", "accuracy"]


@torch.no_grad()
def accuracy(network: nn.Module, images: Tensor, labels: Tensor) -> float:
    """The share of images that a network classifies rightly, in evaluation mode.

    Args:
        network: images in [0, 1] to logits.
        images: shape (N, C, H, W).
        labels: shape (N,).
    """
    with evaluation_mode(network):
        return float((network(images).argmax(dim=1) == labels).float().mean())


class Validation:
    """Measures a network at each epoch's end and remembers the best weights.

    Args:
        images: the held-out images, on the network's device.
        attack: the PGD.
        batch_size: images attacked at a time.
        patience: epochs without a higher accuracy after which to stop; None never stops.
        seed: of the attack's random starts, the same for each epoch.
    """

    def __init__(
        self, images: LabelledImages, attack: PgdConfig, *, batch_size: int, patience: int | None, seed: int
    ) -> None:
        self.images = images
        self.attack = attack
        self.batch_size = batch_size
        self.patience = patience
        self.seed = seed
        self.best = -math.inf
        self.epochs_since = 0
        self.weights: dict[str, Tensor] = {}

    @property
    def exhausted(self) -> bool:
        """Whether it is time to stop."""
        return self.patience is not None and self.epochs_since >= self.patience

    def update(self, network: nn.Module) -> dict[str, float]:
        """Measure, and remember the weights if they are better than all before.

        Returns:
            Accuracies by name, in [0, 1].
        """
        clean, robust = parallel.from_first(lambda: self.measure(network))
        self.epochs_since += 1
        if robust > self.best:
            self.best, self.epochs_since = robust, 0
            self.weights = {name: value.detach().clone() for name, value in network.state_dict().items()}
        return {"validation_clean": clean, "validation_robust": robust}

    def measure(self, network: nn.Module) -> tuple[float, float]:
        """The accuracies on the images and on adversarial ones, in [0, 1]."""
        generator = torch.Generator(self.images.labels.device).manual_seed(self.seed)
        clean = robust = 0.0
        for rows, share in in_batches(len(self.images), self.batch_size):
            batch = self.images.select(range(rows.start, rows.stop))
            images, labels = batch.floats(), batch.labels
            adversarial = pgd_linf(network, images, labels, **vars(self.attack), generator=generator)
            clean += share * accuracy(network, images, labels)
            robust += share * accuracy(network, adversarial, labels)
        return clean, robust

    def state(self) -> dict[str, Any]:
        """The content of a checkpoint."""
        return {"best": self.best, "epochs_since": self.epochs_since, "weights": self.weights}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from `state`."""
        self.best, self.epochs_since, self.weights = state["best"], state["epochs_since"], state["weights"]
