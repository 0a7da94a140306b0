"""Which trials no other dominates, which others only seem dominated, and which one is taken.

A trial dominates another if it is nowhere worse and somewhere better (Pareto). Accuracies of a few hundred images have
intervals, so that much that is dominated by its numbers is not by what they say: a trial is *behind* only if another is
better at the bad ends of its own intervals than it is at the good ends of its.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from rnas.run.study_results import Measured, Standing

__all__ = ["chosen", "dominates", "hypervolume", "standings"]

#: What was measured of a trial, in the order of the objectives.
Point = Sequence[Measured]


def dominates(first: Sequence[float], second: Sequence[float], signs: Sequence[int]) -> bool:
    """Whether the first is nowhere worse and somewhere better.

    Args:
        first: values.
        second: likewise.
        signs: 1 where more is better, -1 where less is.
    """
    gains = [sign * (one - other) for one, other, sign in zip(first, second, signs, strict=True)]
    return min(gains) >= 0 and max(gains) > 0


def end(point: Point, signs: Sequence[int], *, good: bool) -> list[float]:
    """The good or the bad end of each interval."""
    return [one.high if (sign > 0) == good else one.low for one, sign in zip(point, signs, strict=True)]


def standings(points: Sequence[Point], signs: Sequence[int]) -> list[Standing]:
    """Where each trial stands among all.

    Args:
        points: of the finished trials.
        signs: as of `dominates`.
    """
    values = [[one.value for one in point] for point in points]
    goods = [end(point, signs, good=True) for point in points]
    bads = [end(point, signs, good=False) for point in points]
    found = []
    for own, good in zip(values, goods, strict=True):
        if not any(dominates(other, own, signs) for other in values):
            found.append(Standing.FRONT)
        elif any(dominates(bad, good, signs) for bad in bads):
            found.append(Standing.BEHIND)
        else:
            found.append(Standing.WITHIN)
    return found


def chosen(points: Sequence[Point], signs: Sequence[int]) -> int | None:
    """The trial of the front that is nearest to the ideal one, which has the best of each objective.

    Each objective is measured in units of its range over the front; of equally near ones the first. With one objective
    it is the best.

    Args:
        points: of the finished trials.
        signs: as of `dominates`.

    Returns:
        Its position; None where there is none.
    """
    front = [index for index, standing in enumerate(standings(points, signs)) if standing is Standing.FRONT]
    if not front:
        return None
    gains = {index: [sign * one.value for one, sign in zip(points[index], signs, strict=True)] for index in front}
    best = [max(column) for column in zip(*gains.values(), strict=True)]
    worst = [min(column) for column in zip(*gains.values(), strict=True)]

    def distance(index: int) -> float:
        spans = zip(gains[index], best, worst, strict=True)
        return math.hypot(*((top - gain) / (top - bottom) if top > bottom else 0.0 for gain, top, bottom in spans))

    return min(front, key=distance)


def hypervolume(points: Sequence[Sequence[float]], reference: Sequence[float], signs: Sequence[int]) -> float:
    """The volume that points dominate above a reference point, by cutting it into slabs along the last objective.

    Args:
        points: values.
        reference: the worst that counts; what does not dominate it has no volume.
        signs: as of `dominates`.
    """
    gains = [[s * (x - r) for x, r, s in zip(point, reference, signs, strict=True)] for point in points]
    return _volume([gain for gain in gains if min(gain) > 0])


def _volume(gains: Sequence[Sequence[float]]) -> float:
    if not gains:
        return 0.0
    if len(gains[0]) == 1:
        return max(gain[0] for gain in gains)
    heights = sorted({gain[-1] for gain in gains})
    total = 0.0
    for below, height in zip([0.0, *heights], heights, strict=False):
        total += (height - below) * _volume([gain[:-1] for gain in gains if gain[-1] >= height])
    return total
