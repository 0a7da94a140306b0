"""What an objective is, and the names of all of them."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor, nn

from rnas.config import PgdConfig
from rnas.registry import Registry

__all__ = ["OBJECTIVES", "Objective"]


class Objective(Protocol):
    """A training loss: a function of a network and a batch."""

    def __call__(
        self, model: nn.Module, images: Tensor, labels: Tensor, *, attack: PgdConfig, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """Compute the loss of a batch.

        Args:
            model: takes images in [0, 1]; its mode is the caller's choice.
            images: shape (N, C, H, W), in [0, 1].
            labels: class indices, shape (N,).
            attack: how adversarial examples are made, where the objective needs them.
            generator: the source of all randomness, on the images' device.

        Returns:
            The loss, a scalar with gradients for the weights, and the logits (N, num_classes) that it judged.
        """


OBJECTIVES: Registry[Objective] = Registry("objective")
