"""Refuse images that F cannot measure, and a bound that nothing can meet."""

from __future__ import annotations

import math

from rnas.data import ImageDataset
from rnas.errors import DataError, DivergenceError
from rnas.search.algorithm import Algorithm
from rnas.vulnerability.metrics import REMEDY
from rnas.vulnerability.positions import ONE_POSITION, tells

__all__ = ["NOT_FINITE", "check_bound", "check_maps"]

#: What to choose instead where F is not finite, though the logits are: its attack would have found out.
NOT_FINITE = "another constraint.metric or a lower learning_rate"


def check_maps(data: ImageDataset, algorithm: Algorithm) -> None:
    """Refuse images of one pixel, whose maps the metric of F says nothing of."""
    config, metrics = algorithm.config, {}
    if algorithm.trainer is not None:
        metrics["constraint"] = config.constraint.metric
    if config.shortlist.count > 1 or algorithm.trains_candidates:
        metrics["shortlist"] = config.shortlist.metric
    for group, metric in metrics.items():
        if not tells(metric, *data.size):
            raise DataError(
                f"{data.name} has images of 1x1 pixels; search.{group}.metric {metric}: {ONE_POSITION}; {REMEDY}"
            )


def check_bound(bound: float | None) -> None:
    """Refuse a bound that nothing can meet: a percentage of an F that is 0 or no longer finite."""
    if bound is not None and not (math.isfinite(bound) and bound > 0):
        raise DivergenceError(
            f"expected H > 0, got {bound}: F at the end of the warm-up is 0 or not finite",
            "a number as constraint.bound, or a larger attack.eps" if bound == 0 else NOT_FINITE,
        )
