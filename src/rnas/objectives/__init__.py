"""Losses for the weights: standard and adversarial training. Importing a module here registers its objective."""

from rnas.objectives.pgd_at import pgd_at
from rnas.objectives.registry import OBJECTIVES, Objective
from rnas.objectives.standard import standard

__all__ = ["OBJECTIVES", "Objective", "pgd_at", "standard"]
