"""Standard training: cross-entropy on clean images."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from rnas.objectives.registry import OBJECTIVES, Objective

__all__ = ["Standard"]


@OBJECTIVES.register("standard")
class Standard(Objective):
    """L = cross_entropy(model(x), y)."""

    attacks = False

    def __call__(
        self,
        model: nn.Module,
        attacked: nn.Module,  # noqa: ARG002 - one signature for all objectives
        images: Tensor,
        labels: Tensor,
        generator: torch.Generator,  # noqa: ARG002
    ) -> tuple[Tensor, Tensor]:
        """Arguments and returns as in `Objective`."""
        logits = model(images)
        return self.cross_entropy(logits, labels), logits
