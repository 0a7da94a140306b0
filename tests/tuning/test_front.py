"""The front against its definition, and what the intervals leave open."""

from __future__ import annotations

import itertools
import random

import pytest

from rnas.run.study_results import Measured, Standing
from rnas.tuning.front import chosen, hypervolume, standings


def exact(*values: float) -> list[Measured]:
    return [Measured.exact(value) for value in values]


@pytest.mark.parametrize("signs", list(itertools.product((1, -1), repeat=3)))
def test_the_front_is_that_of_brute_force(signs: tuple[int, ...]) -> None:
    draw = random.Random(str(signs))
    values = [[draw.randrange(5) for _ in signs] for _ in range(60)]

    def beaten(own: list[int]) -> bool:
        for other in values:
            no_worse = all(o >= x if s > 0 else o <= x for o, x, s in zip(other, own, signs, strict=True))
            better = any(o > x if s > 0 else o < x for o, x, s in zip(other, own, signs, strict=True))
            if no_worse and better:
                return True
        return False

    found = standings([exact(*own) for own in values], signs)
    assert [standing is Standing.FRONT for standing in found] == [not beaten(own) for own in values]
    # Without intervals nothing is left open.
    assert Standing.WITHIN not in found


def test_intervals_leave_open_what_overlaps() -> None:
    """By hand: 0 dominates all; 1 overlaps it in accuracy; 2 is beyond; 3 overlaps, but is larger, which is certain."""
    points = [
        [Measured(0.90, 0.85, 0.95), Measured.exact(100)],
        [Measured(0.84, 0.79, 0.89), Measured.exact(100)],
        [Measured(0.70, 0.65, 0.75), Measured.exact(100)],
        [Measured(0.88, 0.83, 0.93), Measured.exact(200)],
    ]
    expected = [Standing.FRONT, Standing.WITHIN, Standing.BEHIND, Standing.WITHIN]
    assert standings(points, (1, -1)) == expected
    # Touching ends of equal size: nowhere worse for certain, but somewhere better for certain neither.
    touching = [[Measured(0.9, 0.8, 1.0), Measured.exact(1)], [Measured(0.7, 0.6, 0.8), Measured.exact(1)]]
    assert standings(touching, (1, -1)) == [Standing.FRONT, Standing.WITHIN]


def test_no_trial_of_the_front_is_within_or_behind_and_wider_intervals_put_fewer_behind() -> None:
    draw = random.Random(3)
    values = [[draw.random(), draw.random()] for _ in range(40)]
    behind = []
    for half in (0.0, 0.05, 0.2, 1.0):
        points = [[Measured(x, x - half, x + half) for x in own] for own in values]
        behind.append(standings(points, (1, 1)).count(Standing.BEHIND))
    assert behind == sorted(behind, reverse=True)
    assert behind[0] > behind[-1] == 0


def test_the_chosen_trial_is_the_knee() -> None:
    """Of (0, 1), (0.9, 0.9), (1, 0) the middle one is nearest to (1, 1); a dominated one is never taken."""
    points = [exact(0.0, 1.0), exact(0.9, 0.9), exact(1.0, 0.0), exact(0.89, 0.89)]
    assert chosen(points, (1, 1)) == 1
    # The units of an objective do not matter, nor its direction.
    assert chosen([exact(x.value, -1e6 * y.value) for x, y in points], (1, -1)) == 1
    assert chosen([exact(3.0), exact(1.0), exact(2.0)], (-1,)) == 1
    assert chosen([exact(1.0, 1.0), exact(1.0, 1.0)], (1, 1)) == 0
    assert chosen([], (1, 1)) is None


def test_hypervolume_by_hand_and_by_sampling() -> None:
    assert hypervolume([[2.0, 1.0], [1.0, 3.0]], [0.0, 0.0], (1, 1)) == pytest.approx(2 + 3 - 1)
    assert hypervolume([[2.0, 1.0], [-1.0, 3.0]], [0.0, 0.0], (1, 1)) == pytest.approx(2)
    assert hypervolume([[1.0, 2.0]], [3.0, 3.0], (-1, -1)) == pytest.approx(2)
    draw = random.Random(0)
    points = [[draw.random() for _ in range(3)] for _ in range(6)]
    hits = 0
    for _ in range(20_000):
        x = [draw.random() for _ in range(3)]
        hits += any(all(a <= b for a, b in zip(x, point, strict=True)) for point in points)
    assert hypervolume(points, [0.0] * 3, (1, 1, 1)) == pytest.approx(hits / 20_000, abs=0.015)
