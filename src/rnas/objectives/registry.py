"""What an objective is, and the names of all of them."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rnas.attacks import pgd_linf
from rnas.objectives.config import ObjectiveConfig
from rnas.registry import Registry

__all__ = ["OBJECTIVES", "Objective"]

#: How many times the unweighted loss a weighted term has to be to be called the reason that a training diverged.
OUTWEIGHED = 100.0


class Objective(ABC):
    """A training loss: a function of a network and a batch.

    Args:
        settings: what it is told; it reads what it needs.
    """

    #: Whether its adversarial examples come of one step: then training can collapse, and the loop watches for it.
    single_step: ClassVar[bool] = False
    #: Whether it attacks the network at all.
    attacks: ClassVar[bool] = True

    def __init__(self, settings: ObjectiveConfig) -> None:
        self.settings = settings
        #: The part of all steps that is done, in [0, 1]; whoever trains keeps it, for losses that change meanwhile.
        self.progress = 1.0
        self._weighed: tuple[Tensor, str, float, Tensor] | None = None

    @property
    def inputs(self) -> dict[str, str]:
        """What it learns from besides the images, by name: a fingerprint of each."""
        return {}

    @abstractmethod
    def __call__(
        self, model: nn.Module, attacked: nn.Module, images: Tensor, labels: Tensor, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """Compute the loss of a batch.

        Args:
            model: takes images in [0, 1]; its mode is the caller's choice.
            attacked: what attacks see: the model, or another module that computes what it does in evaluation mode.
            images: shape (N, C, H, W), in [0, 1].
            labels: class indices, shape (N,).
            generator: the source of all randomness, on the images' device.

        Returns:
            The loss, a scalar with gradients for the model's weights, and the logits (N, num_classes) that it judged.
        """

    def weigh(self, loss: Tensor, key: str, weight: float, divergence: Tensor) -> Tensor:
        """A loss and a divergence with a weight, both scalars; what they were is kept for `fault`.

        Args:
            loss: the other terms.
            key: the setting that is the weight.
            weight: its value.
            divergence: what it weighs.
        """
        self._weighed = (loss.detach(), key, weight, divergence.detach())
        return loss + weight * divergence

    def fault(self) -> str | None:
        """The setting that made the last loss too large to be computed with, if it was a weight of `weigh`.

        It was where everything is finite without it, and its term is not, or exceeds all else by far: of a sum that
        some other setting spoilt, every term is too large.
        """
        if self._weighed is None:
            return None
        loss, key, weight, divergence = self._weighed
        unweighted = float(loss + divergence)
        return key if math.isfinite(unweighted) and not weight * float(divergence) <= OUTWEIGHED * unweighted else None

    def cross_entropy(self, logits: Tensor, labels: Tensor) -> Tensor:
        """The mean cross-entropy of logits (N, classes) with the smoothed labels (N,)."""
        return F.cross_entropy(logits, labels, label_smoothing=self.settings.label_smoothing)

    def pgd_examples(self, attacked: nn.Module, images: Tensor, labels: Tensor, generator: torch.Generator) -> Tensor:
        """Adversarial images by the PGD of the settings, shape (N, C, H, W)."""
        attack = self.settings.attack
        return pgd_linf(attacked, images, labels, **vars(attack), generator=generator)


OBJECTIVES: Registry[type[Objective]] = Registry("objective", "rnas.objectives.catalogue")
