"""All objectives by name: importing the modules registers what is in them."""

from rnas.objectives import fast_at, mart, pgd_at, standard, trades  # noqa: F401
from rnas.objectives.registry import OBJECTIVES

__all__ = ["OBJECTIVES"]
