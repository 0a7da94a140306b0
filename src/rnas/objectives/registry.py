"""What an objective is, and the names of all of them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rnas.attacks import pgd_linf
from rnas.objectives.config import ObjectiveConfig
from rnas.registry import Registry

__all__ = ["OBJECTIVES", "Objective"]


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

    def cross_entropy(self, logits: Tensor, labels: Tensor) -> Tensor:
        """The mean cross-entropy of logits (N, classes) with the smoothed labels (N,)."""
        return F.cross_entropy(logits, labels, label_smoothing=self.settings.label_smoothing)

    def pgd_examples(self, attacked: nn.Module, images: Tensor, labels: Tensor, generator: torch.Generator) -> Tensor:
        """Adversarial images by the PGD of the settings, shape (N, C, H, W)."""
        attack = self.settings.attack
        return pgd_linf(attacked, images, labels, **vars(attack), generator=generator)


OBJECTIVES: Registry[type[Objective]] = Registry("objective")
