"""Alpha over time: a small panel for each edge, one line for each operation."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from rnas.documents import is_number
from rnas.errors import RunError
from rnas.reports.figures.palette import operation_colour, operation_line
from rnas.reports.figures.style import INK, MUTED, drawable, step_axis, style
from rnas.spaces.darts import OPERATIONS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes

    from rnas.genotype import Cell
    from rnas.run.metrics import Metrics, Record

__all__ = ["Trajectory", "alpha_figure", "none_mass", "trajectories"]

#: More moments than a line of this width can show are thinned, evenly; the first and the last stay.
_MOMENTS = 300


class Trajectory:
    """The probabilities of one kind of cell over time.

    Args:
        kind: "normal", "reduce", ...
        operations: names of the operations, in the order of the probabilities.
        steps: when they were recorded.
        probabilities: softmax of alpha by moment, edge and operation, each in [0, 1].
    """

    def __init__(
        self, kind: str, operations: Sequence[str], steps: Sequence[int], probabilities: Sequence[list[list[float]]]
    ) -> None:
        self.kind = kind
        self.operations = tuple(operations)
        self.steps = tuple(steps)
        self.probabilities = tuple(probabilities)

    @property
    def edges(self) -> int:
        """Number of edges."""
        return len(self.probabilities[0])


def trajectories(metrics: Metrics, operations: Sequence[str] | None = None) -> tuple[Trajectory, ...]:
    """The recorded probabilities, by kind of cell; none if there are no records.

    Args:
        metrics: a search's metrics.
        operations: names of the operations; by default those of the DARTS space, where the number fits.

    Raises:
        RunError: if a record does not hold a table of probabilities, or not one of the same size as the first.
    """
    found: dict[str, tuple[list[int], list[list[list[float]]]]] = {}
    for record in metrics.of("alpha"):
        tables = record.values.get("probabilities")
        if not isinstance(tables, dict):
            raise RunError(f"{record.where}: expected 'probabilities' by kind of cell, got {type(tables).__name__}")
        for kind, table in tables.items():
            steps, moments = found.setdefault(kind, ([], []))
            steps.append(record.values["step"])
            moments.append(_checked(table, moments[0] if moments else None, record, kind))
    return tuple(
        Trajectory(kind, _names(operations, len(moments[0][0])), steps, moments)
        for kind, (steps, moments) in found.items()
    )


def none_mass(trajectory: Trajectory) -> list[float] | None:
    """The probability of `none`, mean over the edges, at each moment; None if it is not among the operations."""
    if "none" not in trajectory.operations:
        return None
    index = trajectory.operations.index("none")
    return [sum(row[index] for row in table) / len(table) for table in trajectory.probabilities]


def alpha_figure(trajectory: Trajectory, cell: Cell | None = None, found: Cell | None = None) -> Figure:
    """Draw the probabilities: rows are the nodes that edges reach, columns the nodes that they leave.

    Args:
        trajectory: what to draw.
        cell: the cell derived from them: the panels of edges that it keeps are tinted and name its operation.
        found: the cell that was found in its place, where a race chose another: panels also name its operation.

    Returns:
        The figure.
    """
    places = _triangle(trajectory.edges)
    rows = places[-1][0] + 1
    wide = max(place[1] for place in places) + 1
    triangular = places[-1][2] >= 0
    inputs = wide - rows + 1
    # The empty corner of the triangle holds the legend; a drawable grid has none, and gets a row for it.
    height = 1.32 * (rows if triangular and wide > 2 else rows + 1) + 0.45
    values = (value for table in trajectory.probabilities for row in table for value in row)
    highest = max((value for value in values if math.isfinite(value)), default=1.0)  # a diverged search has none
    kept = _kept(cell) if cell is not None and triangular and cell.inputs == inputs else {}
    instead = {} if found is None or found == cell or not kept else _kept(found)
    with style():
        figure = Figure(figsize=(9.0, height))
        left, right, top = 0.5, 0.1, 0.25
        cell_width, cell_height = (9.0 - left - right) / max(wide, 3), 1.32
        for edge, (row, column, source) in enumerate(places):
            box = (left + column * cell_width, height - top - (row + 1) * cell_height + 0.42)
            axes = figure.add_axes(
                (box[0] / 9.0, box[1] / height, (cell_width - 0.16) / 9.0, (cell_height - 0.42) / height)
            )
            _panel(axes, trajectory, edge, highest)
            title = f"{_node(source, inputs)} to {row}" if triangular else f"edge {edge}"
            axes.set_title(title, fontsize=8.5, fontweight="normal", color=INK, pad=3).set_parse_math(triangular)
            if (source, row + inputs) in kept:
                _mark(axes, kept[source, row + inputs])
            if (source, row + inputs) in instead:
                _mark_instead(axes, instead[source, row + inputs])
            axes.tick_params(labelleft=column == 0, labelsize=7.5)
            last = row == rows - 1 or not any(other[:2] == (row + 1, column) for other in places)
            axes.tick_params(labelbottom=last)
            if last:
                step_axis(axes)
                axes.xaxis.label.set_fontsize(8)
        handles = [
            Line2D(
                [], [], color=operation_colour(name), linestyle=operation_line(name), label=drawable(name), linewidth=2
            )
            for name in trajectory.operations
        ]
        corner = triangular and wide > 2
        notes = ["softmax probability of each operation; panel title: from node to node"]
        if kept:
            notes.append("tinted: edges that the derived cell keeps, with its operation")
        if instead:
            notes.append("found: the operation of the candidate that won the race")
        anchor = (1 - right / 9.0, 1 - 0.06 / height) if corner else (1 - right / 9.0, (cell_height + 0.1) / height)
        legend = figure.legend(
            handles=handles,
            ncols=2 if corner else 4,
            loc="upper right",
            bbox_to_anchor=anchor,
            title="\n".join(notes),
            title_fontsize=8,
            fontsize=8,
            labelspacing=0.25,
            handlelength=2.6,
            alignment="left",
            borderaxespad=0.0,
        )
        legend.get_title().set_color(MUTED)
    return figure


def _panel(axes: Axes, trajectory: Trajectory, edge: int, highest: float) -> None:
    count = len(trajectory.steps)
    stride = max(1, -(-count // _MOMENTS))
    moments = sorted({*range(0, count, stride), count - 1})
    steps = [trajectory.steps[moment] for moment in moments]
    for index, name in enumerate(trajectory.operations):
        axes.plot(
            steps,
            [trajectory.probabilities[moment][edge][index] for moment in moments],
            color=operation_colour(name),
            linestyle=operation_line(name),
            linewidth=1.3,
            marker="." if len(moments) == 1 else "",
        )
    # Head room for the name of the chosen operation.
    axes.set_ylim(0, min(1.0, highest) * 1.28)
    axes.margins(x=0.02)
    axes.locator_params(axis="y", nbins=3)


def _mark(axes: Axes, op: str) -> None:
    axes.set_facecolor("#FBF6E3")
    axes.text(0.03, 0.96, drawable(op), transform=axes.transAxes, fontsize=7.5, fontweight="bold", va="top", color=INK)


def _mark_instead(axes: Axes, op: str) -> None:
    words = f"found: {drawable(op)}"
    axes.text(0.03, 0.78, words, transform=axes.transAxes, fontsize=7, va="top", color="#A33F00")


def _kept(cell: Cell) -> dict[tuple[int, int], str]:
    return {
        (edge.source, target): edge.op for target, edges in enumerate(cell.nodes, start=cell.inputs) for edge in edges
    }


def _triangle(edges: int) -> list[tuple[int, int, int]]:
    """Row, column and source of each panel where every node reads all earlier ones; else a grid, with source -1."""
    for inputs in (2, 1, 3):
        count = 0
        places: list[tuple[int, int, int]] = []
        while len(places) < edges:
            places += [(count, source, source) for source in range(inputs + count)]
            count += 1
        if len(places) == edges:
            return places
    return [(edge // 5, edge % 5, -1) for edge in range(edges)]


def _node(index: int, inputs: int) -> str:
    return f"$c_{{k-{inputs - index}}}$" if index < inputs else str(index - inputs)


def _names(operations: Sequence[str] | None, count: int) -> Sequence[str]:
    if operations is not None and len(operations) == count:
        return operations
    return OPERATIONS if len(OPERATIONS) == count else [f"operation {index}" for index in range(count)]


def _checked(table: Any, first: list[list[float]] | None, record: Record, kind: str) -> list[list[float]]:
    rows: list[Any] = table if isinstance(table, list) and table else [[]]
    width = len(first[0]) if first else len(rows[0]) if isinstance(rows[0], list) else 0
    fits = all(isinstance(row, list) and len(row) == width and all(map(is_number, row)) for row in rows)
    if width == 0 or not fits or (first is not None and len(rows) != len(first)):
        size = f"{len(first)} rows of {width}" if first else "rows of equal length"
        raise RunError(f"{record.where}: the probabilities of {kind!r} should be {size} numbers")
    return [[float(value) for value in row] for row in rows]
