"""Standard training: cross-entropy on clean images."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rnas.config import PgdConfig
from rnas.objectives.registry import OBJECTIVES

__all__ = ["standard"]


@OBJECTIVES.register("standard")
def standard(
    model: nn.Module,
    images: Tensor,
    labels: Tensor,
    *,
    attack: PgdConfig,  # noqa: ARG001 - one signature for all objectives
    generator: torch.Generator,  # noqa: ARG001
) -> tuple[Tensor, Tensor]:
    """L = cross_entropy(model(x), y). Arguments and returns as in `Objective`."""
    logits = model(images)
    return F.cross_entropy(logits, labels), logits
