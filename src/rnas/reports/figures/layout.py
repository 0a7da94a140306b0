"""Where the parts of a drawn cell go: a layered layout in which a label is a place, not an afterthought.

Nodes stand in columns by depth, and between two columns of nodes stands a column of labels. An edge passes each column
between its ends through a slot of its own: one of them holds its label, the others only let it pass. Slots of a column
keep their distance, so labels, nodes and passing edges cannot overlap, and two edges between the same nodes part.
Which slot lies above which, and how high, is decided in `slots`.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from rnas.reports.figures.slots import Slot, order, place

if TYPE_CHECKING:
    from collections.abc import Callable

    from rnas.genotype import Cell

__all__ = ["LABEL_HEIGHT", "NODE_SIZE", "Layout", "Route", "arrange"]

NODE_SIZE: Final = 0.46
LABEL_HEIGHT: Final = 0.22
_PASSING_HEIGHT: Final = 0.05


@dataclass(frozen=True)
class Route:
    """The way of one edge.

    Args:
        source: index of the node that it leaves.
        target: index of the node that it reaches; one more than the last node for the cell's output.
        op: name of the operation, or None for the concatenation.
        points: corners of the horizontal pieces, (x, y) in inches, an even number: the edge runs level from each even
            one to the next and bends smoothly from each odd one to the next.
        label: where the operation's name is centred, or None.
    """

    source: int
    target: int
    op: str | None
    points: tuple[tuple[float, float], ...]
    label: tuple[float, float] | None


@dataclass(frozen=True)
class Layout:
    """A laid out cell, in inches, the origin at its lower left corner.

    Args:
        width: extent to the right.
        height: extent upwards.
        nodes: centres of the nodes by index; the last one is the cell's output.
        routes: the edges in the order of the genotype, then those of the concatenation.
    """

    width: float
    height: float
    nodes: tuple[tuple[float, float], ...]
    routes: tuple[Route, ...]


@dataclass
class _Chain:
    source: int
    target: int
    op: str | None
    slots: list[Slot]
    labelled: Slot | None


def arrange(cell: Cell, label_width: Callable[[str], float]) -> Layout:
    """Lay a cell out.

    Args:
        cell: the cell.
        label_width: gives the width of an operation's label, in inches.
    """
    depths = _depths(cell)
    nodes = [Slot(rank=2 * depth, height=NODE_SIZE, stiffness=1.0) for depth in depths]
    chains = _chains(cell, nodes)
    columns: list[list[Slot]] = [[] for _ in range(nodes[-1].rank + 1)]
    for slot in [*nodes, *(slot for chain in chains for slot in chain.slots)]:
        columns[slot.rank].append(slot)
    columns = order(columns, nodes)
    place(columns)
    for column in columns:
        for slot in column:
            slot.y = -slot.y  # the first of a column is its top
    return _finish(columns, nodes, chains, label_width)


def _depths(cell: Cell) -> list[int]:
    """The longest way from an input to each node, and to the output. A node without edges stands after the inputs."""
    depths = [0] * cell.inputs
    for edges in cell.nodes:
        depths.append(1 + max((depths[edge.source] for edge in edges), default=0))
    return [*depths, 1 + max(depths)]


def _chains(cell: Cell, nodes: list[Slot]) -> list[_Chain]:
    """A chain of slots for each edge; each label goes to the emptiest of the columns that its edge passes."""
    output = len(nodes) - 1
    wanted: list[tuple[int, int, str | None]] = [
        (edge.source, target, edge.op) for target, edges in enumerate(cell.nodes, start=cell.inputs) for edge in edges
    ]
    wanted += [(source, output, None) for source in cell.concat]
    labels = [0] * (nodes[-1].rank + 1)
    chains: list[_Chain | None] = [None] * len(wanted)
    # Short edges have no choice, so they choose first.
    for index in sorted(range(len(wanted)), key=lambda i: nodes[wanted[i][1]].rank - nodes[wanted[i][0]].rank):
        source, target, op = wanted[index]
        ranks = range(nodes[source].rank + 1, nodes[target].rank)
        label_rank = min(ranks[::2], key=lambda rank: labels[rank]) if op is not None else None
        slots = []
        for rank in ranks:
            if rank == label_rank:
                labels[rank] += 1
            slots.append(Slot(rank, LABEL_HEIGHT if rank == label_rank else _PASSING_HEIGHT, stiffness=4.0))
        weight = 2.0 if op is not None else 1.0
        way = [nodes[source], *slots, nodes[target]]
        for left, right in pairwise(way):
            left.after.append((right, weight))
            right.before.append((left, weight))
        labelled = None if label_rank is None else slots[label_rank - ranks[0]]
        chains[index] = _Chain(source, target, op, slots, labelled)
    return [chain for chain in chains if chain is not None]


def _finish(
    columns: list[list[Slot]], nodes: list[Slot], chains: list[_Chain], label_width: Callable[[str], float]
) -> Layout:
    """Widths of the columns, and the ways as points. The farther edges climb between columns, the more room."""
    widths = [NODE_SIZE if rank % 2 == 0 else 0.0 for rank in range(len(columns))]
    for chain in chains:
        if chain.labelled is not None and chain.op is not None:
            widths[chain.labelled.rank] = max(widths[chain.labelled.rank], label_width(chain.op))
    lows, left = [], 0.0
    for rank, column in enumerate(columns):
        lows.append(left)
        climb = max((abs(slot.y - other.y) for slot in column for other, _ in slot.after), default=0.0)
        left += widths[rank] + min(0.75, max(0.3, 0.4 * climb))
    bottom = min(slot.y - slot.height / 2 for column in columns for slot in column)
    top = max(slot.y + slot.height / 2 for column in columns for slot in column)
    leaving = _ports(chains, nodes, forward=True)
    arriving = _ports(chains, nodes, forward=False)
    routes = []
    for index, chain in enumerate(chains):
        source, target = nodes[chain.source], nodes[chain.target]
        start = lows[source.rank] + widths[source.rank]
        points = [(start - 0.02, leaving[index]), (start, leaving[index])]
        for slot in chain.slots:
            if widths[slot.rank] == 0.0:
                continue  # a column without labels: nothing to pass, so the edge bends in one sweep
            points += [(lows[slot.rank], slot.y), (lows[slot.rank] + widths[slot.rank], slot.y)]
        points += [(lows[target.rank] - 0.1, arriving[index]), (lows[target.rank], arriving[index])]
        label = None
        if chain.labelled is not None:
            label = (lows[chain.labelled.rank] + widths[chain.labelled.rank] / 2, chain.labelled.y - bottom)
        routes.append(Route(chain.source, chain.target, chain.op, tuple((x, y - bottom) for x, y in points), label))
    return Layout(
        width=lows[-1] + widths[-1],
        height=top - bottom,
        nodes=tuple((lows[node.rank] + NODE_SIZE / 2, node.y - bottom) for node in nodes),
        routes=tuple(routes),
    )


def _ports(chains: list[_Chain], nodes: list[Slot], *, forward: bool) -> list[float]:
    """The height at which each edge leaves (or reaches) its node: spread over the node's side, in the edges' order."""
    heights = [0.0] * len(chains)
    for number, node in enumerate(nodes):
        own = [i for i, chain in enumerate(chains) if (chain.source if forward else chain.target) == number]
        own.sort(key=lambda i: chains[i].slots[0 if forward else -1].y)
        spread = min(0.11, 0.7 * NODE_SIZE / max(1, len(own) - 1))
        for rank, index in enumerate(own):
            heights[index] = node.y + (rank - (len(own) - 1) / 2) * spread
    return heights
