"""Whether a search kept its bound F <= H, as a fact and in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rnas.search.config import ConstraintConfig

__all__ = ["bound_in_words", "bound_met"]


def bound_met(reached: float | None, bound: float | None, tolerance: float) -> bool | None:
    """Whether F <= H (1 + tolerance), as the projection of Eq. 9 judges it; None where there is no F or no H.

    Args:
        reached: F at the end.
        bound: H.
        tolerance: on F / H - 1.
    """
    if reached is None or bound is None:
        return None
    return reached <= bound * (1 + tolerance)


def bound_in_words(results: Mapping[str, Any]) -> str:
    """What became of the bound, in one line; empty where there was none.

    Args:
        results: the content of a search's results.json; one of an older version has no tolerance.
    """
    reached, bound = results.get("F"), results.get("H")
    tolerance = results.get("tolerance", ConstraintConfig.tolerance)
    met = bound_met(reached, bound, tolerance)
    if met is None or not bound:
        return ""
    return f"bound {'met' if met else 'NOT met'}: F / H = {reached / bound:.3g}, tolerance {tolerance:g}"
