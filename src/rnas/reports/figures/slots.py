"""Slots in columns: an order that crosses few edges, and heights that keep them straight.

The order is found by the barycentre method (Sugiyama et al. 1981) from several starts, then by exchanging neighbours;
the heights by least squares under the distances that the slots of a column have to keep.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Slot", "order", "place"]

_CLEARANCE: Final = 0.09
_STARTS: Final = 24
_SWEEPS: Final = 12
_PLACINGS: Final = 300


@dataclass(eq=False)
class Slot:
    """A place in a column: a node, a label, or room for an edge to pass.

    Args:
        rank: the column, from the left.
        height: in inches.
        stiffness: how much its neighbours are drawn to it; more for what an edge should pass straight.
        before: neighbours in the column to the left, each with the weight of the edge to it.
        after: neighbours in the column to the right.
        y: the height at which it is placed.
    """

    rank: int
    height: float
    stiffness: float
    before: list[tuple[Slot, float]] = field(default_factory=list)
    after: list[tuple[Slot, float]] = field(default_factory=list)
    y: float = 0.0


def order(columns: list[list[Slot]], nodes: list[Slot]) -> list[list[Slot]]:
    """The columns with their slots in an order that crosses few edges; among equals, with the nodes in their order."""
    chance = random.Random(0)
    number = {id(node): index for index, node in enumerate(nodes)}
    best, least = columns, (float("inf"), 0)
    for start in range(_STARTS):
        trial = [list(column) for column in columns]
        if start:
            for column in trial:
                chance.shuffle(column)
        for sweep in range(_SWEEPS):
            forward = sweep % 2 == 0
            for rank in range(len(trial)) if forward else reversed(range(len(trial))):
                _sort_by_neighbours(trial, rank, forward)
        while _exchange(trial):
            pass
        crossings = sum(_crossings(left, right) for left, right in pairwise(trial))
        if number[id(next(slot for slot in trial[0] if id(slot) in number))] > 0:
            trial = [column[::-1] for column in trial]  # the older input on top
        numbers = [[number[id(slot)] for slot in column if id(slot) in number] for column in trial]
        swapped = sum(one > other for row in numbers for i, one in enumerate(row) for other in row[i + 1 :])
        if (crossings, swapped) < least:
            best, least = trial, (crossings, swapped)
    return best


def _sort_by_neighbours(columns: list[list[Slot]], rank: int, forward: bool) -> None:
    beside = rank - 1 if forward else rank + 1
    if not 0 <= beside < len(columns):
        return
    place = {id(slot): index for index, slot in enumerate(columns[beside])}
    own = {id(slot): index for index, slot in enumerate(columns[rank])}

    def centre(slot: Slot) -> float:
        near = slot.before if forward else slot.after
        return sum(place[id(other)] for other, _ in near) / len(near) if near else float(own[id(slot)])

    columns[rank].sort(key=centre)


def _exchange(columns: list[list[Slot]]) -> bool:
    """Exchange neighbours in a column wherever that removes crossings; say whether any did."""
    improved = False
    for rank, column in enumerate(columns):
        places = [
            {id(slot): index for index, slot in enumerate(columns[beside])} if 0 <= beside < len(columns) else {}
            for beside in (rank - 1, rank + 1)
        ]
        for index in range(len(column) - 1):
            upper, lower = column[index], column[index + 1]
            gain = 0.0
            for place, ups, lows in (
                (places[0], upper.before, lower.before),
                (places[1], upper.after, lower.after),
            ):
                for one, one_weight in ups:
                    for other, other_weight in lows:
                        gap = place[id(one)] - place[id(other)]
                        gain += one_weight * other_weight * ((gap > 0) - (gap < 0))
            if gain > 0:
                column[index], column[index + 1] = lower, upper
                improved = True
    return improved


def _crossings(left: list[Slot], right: list[Slot]) -> float:
    place = {id(slot): index for index, slot in enumerate(right)}
    lines = [(i, place[id(other)], weight) for i, slot in enumerate(left) for other, weight in slot.after]
    return sum(
        one[2] * other[2]
        for index, one in enumerate(lines)
        for other in lines[index + 1 :]
        if (one[0] - other[0]) * (one[1] - other[1]) < 0
    )


def place(columns: list[list[Slot]]) -> None:
    """Heights of the slots: each near the mean of its neighbours, no two of a column closer than they may be."""
    for column in columns:
        for slot, y in zip(column, _apart(column, [0.0] * len(column)), strict=True):
            slot.y = y
    for sweep in range(_PLACINGS):
        for column in columns if sweep % 2 == 0 else reversed(columns):
            wishes = []
            for slot in column:
                near = [(other, weight * other.stiffness**2) for other, weight in (*slot.before, *slot.after)]
                total = sum(weight for _, weight in near)
                wishes.append(sum(other.y * weight for other, weight in near) / total if near else slot.y)
            for slot, y in zip(column, _apart(column, wishes), strict=True):
                slot.y = y


def _apart(column: Sequence[Slot], wishes: Sequence[float]) -> list[float]:
    """The heights nearest to the wishes that keep the column's order and distances (pool adjacent violators)."""
    if not column:
        return []  # between nodes without edges
    offsets = [0.0]
    for upper, lower in pairwise(column):
        offsets.append(offsets[-1] + (upper.height + lower.height) / 2 + _CLEARANCE)
    blocks: list[tuple[float, int]] = []
    for wish, offset in zip(wishes, offsets, strict=True):
        mean, count = wish - offset, 1
        while blocks and blocks[-1][0] > mean:
            other, size = blocks.pop()
            mean, count = (mean * count + other * size) / (count + size), count + size
        blocks.append((mean, count))
    levels = [mean for mean, count in blocks for _ in range(count)]
    return [level + offset for level, offset in zip(levels, offsets, strict=True)]
