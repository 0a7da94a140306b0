"""Catastrophic overfitting: within a few batches, a network trained on one-step examples withstands nothing else.

References:
    Wong et al. 2020, "Fast is better than free: Revisiting adversarial training" (https://arxiv.org/abs/2001.03994),
    Section 5.4: the accuracy under PGD on a batch of training images falls to zero.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from rnas import parallel
from rnas.attacks import fgsm, pgd_linf
from rnas.config import PgdConfig
from rnas.errors import CollapseError
from rnas.training.validation import accuracy

__all__ = ["CollapseCheck"]


class CollapseCheck:
    """Compares the accuracies under PGD and FGSM on a fixed batch with those at the epoch of the best PGD accuracy.

    While that is within three standard deviations of what one and the same answer for all images reaches, as in the
    first epochs, there is nothing to fall from.

    Args:
        images: shape (N, C, H, W), in [0, 1].
        labels: shape (N,).
        attack: the PGD; FGSM has its eps.
        least: the part of the best accuracy under PGD below which it is a collapse, in [0, 1).
        seed: of PGD's random start, always the same.
    """

    def __init__(self, images: Tensor, labels: Tensor, attack: PgdConfig, *, least: float, seed: int) -> None:
        self.images = images
        self.labels = labels
        self.attack = attack
        self.least = least
        self.seed = seed
        self.best = {"pgd": 0.0, "fgsm": 0.0}
        constant = float(labels.bincount().max()) / len(labels)
        self.least_best = constant + 3 * math.sqrt(constant * (1 - constant) / len(labels))

    def measure(self, network: nn.Module) -> dict[str, float]:
        """The accuracies on the batch, in [0, 1].

        Raises:
            CollapseError: if the network has collapsed.
        """
        attack = self.attack
        generator = torch.Generator(self.images.device).manual_seed(self.seed)
        by_pgd = pgd_linf(network, self.images, self.labels, **vars(self.attack), generator=generator)
        by_fgsm = fgsm(network, self.images, self.labels, eps=attack.eps)
        now = {
            "pgd": accuracy(network, by_pgd, self.labels),
            "fgsm": accuracy(network, by_fgsm, self.labels),
        }
        fallen = self.best["pgd"] > self.least_best and now["pgd"] < self.least * self.best["pgd"]
        if fallen and now["fgsm"] > self.best["fgsm"]:
            raise CollapseError(
                f"catastrophic overfitting: on {len(self.labels)} training images the accuracy under PGD fell from "
                f"{self.best['pgd']:.0%} to {now['pgd']:.0%} while that under FGSM rose from {self.best['fgsm']:.0%} "
                f"to {now['fgsm']:.0%}"
            )
        return now

    def update(self, network: nn.Module) -> dict[str, float]:
        """Measure at an epoch's end; the best is what later measurements are compared with."""
        now = parallel.from_first(lambda: self.measure(network))
        if now["pgd"] > self.best["pgd"]:
            self.best = now
        return now

    def state(self) -> dict[str, Any]:
        """The content of a checkpoint."""
        return {"best": self.best}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from `state`."""
        self.best = state["best"]
