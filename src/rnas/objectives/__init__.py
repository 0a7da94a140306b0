"""Losses for the weights: standard training, PGD-AT, TRADES, MART and fast adversarial training."""

from typing import TYPE_CHECKING

from rnas.lazy import lazily
from rnas.objectives.config import ObjectiveConfig

if TYPE_CHECKING:
    from rnas.objectives.catalogue import OBJECTIVES
    from rnas.objectives.registry import Objective
else:
    __getattr__, __dir__ = lazily(__name__, {"catalogue": ("OBJECTIVES",), "registry": ("Objective",)})

__all__ = ["OBJECTIVES", "Objective", "ObjectiveConfig"]
