"""Losses for the weights: standard, adversarial, on proved bounds, for smoothed models, and distillation."""

from typing import TYPE_CHECKING

from rnas.lazy import lazily
from rnas.objectives.config import ObjectiveConfig

if TYPE_CHECKING:
    from rnas.objectives.registry import OBJECTIVES, Objective
else:
    __getattr__, __dir__ = lazily(__name__, {"registry": ("OBJECTIVES", "Objective")})

__all__ = ["OBJECTIVES", "Objective", "ObjectiveConfig"]
