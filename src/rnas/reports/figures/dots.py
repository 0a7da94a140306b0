"""The robust-accuracy table as a figure: a dot and its interval for each model under each attack."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Final

from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from rnas.reports.figures.palette import MODEL_COLOURS, MODEL_MARKERS
from rnas.reports.figures.style import INK, MUTED, drawable, save, style
from rnas.reports.tables import columns
from rnas.reports.wording import describe_conditions, describe_eps
from rnas.run.files import refuse_link

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from matplotlib.axes import Axes

    from rnas.reports.tables import Column
    from rnas.run.results import ModelResults

__all__ = ["accuracy_figure", "save_comparison"]

_PITCH: Final = 0.26  # inches from one model's dot to the next
_GAP: Final = 0.30  # inches between two attacks
_TITLE: Final = 0.26  # inches of a panel's title
_AXIS: Final = 0.50  # inches of the numbers below a panel
_HEADING_WIDTH = 24  # letters that fit to the left of the axes


def accuracy_figure(models: Sequence[ModelResults]) -> Figure:
    """Draw the accuracies, grouped by attack; attacks that eps does not bound have an axis of their own below.

    Args:
        models: at least one, with at least one result in all.

    Returns:
        The figure. The dashed line is chance, where all models have the same number of classes.
    """
    table = columns(models)
    groups = [group for group in ([c for c in table if bounded(c)], [c for c in table if not bounded(c)]) if group]
    group_height = len(models) * _PITCH + _GAP
    legend_rows = -(-len(models) // 4) * (2 if any(describe_conditions(models)) else 1)
    above = 0.30 + 0.24 * legend_rows
    heights = [len(group) * group_height for group in groups]
    total = above + sum(height + _TITLE + _AXIS for height in heights)
    with style():
        figure = Figure(figsize=(8.6, total))
        top = total - above
        panels = []
        for group, height in zip(groups, heights, strict=True):
            top -= _TITLE + height
            axes = figure.add_axes((0.225, top / total, 0.745, height / total))
            top -= _AXIS
            _draw(axes, group, group_height)
            axes.set_title(_title(models, group), fontsize=8.5, pad=4)
            panels.append(axes)
        panels[-1].set_xlabel("correctly classified images, % (bar: Wilson 95% interval)")
        handles = [
            Line2D(
                [],
                [],
                linestyle="none",
                marker=MODEL_MARKERS[i % len(MODEL_MARKERS)],
                color=MODEL_COLOURS[i % len(MODEL_COLOURS)],
            )
            for i in range(len(models))
        ]
        labels = [
            "\n".join(filter(None, map(drawable, (model.name, condition))))
            for model, condition in zip(models, describe_conditions(models), strict=True)
        ]
        classes = {model.classes for model in models}
        if len(classes) == 1 and (number := classes.pop()):
            lines = [axes.axvline(100 / number, color=MUTED, linestyle="--", linewidth=1, zorder=1) for axes in panels]
            handles.append(lines[0])
            labels.append(f"chance ({100 / number:.1f}%)")
        figure.legend(handles, labels, loc="upper left", bbox_to_anchor=(0.215, 1.0), ncols=4, handlelength=1.4)
    return figure


def bounded(column: Column) -> bool:
    """Whether the images of an attack lie within a distance that was set."""
    return any(cell.bounded for cell in column.cells if cell is not None)


def _title(models: Sequence[ModelResults], group: Sequence[Column]) -> str:
    if not bounded(group[0]):
        return "not bounded by eps: the change may be of any size"
    eps = describe_eps(models)
    return drawable(f"within eps: {eps.removeprefix('eps = ')}" if eps else "within a bound")


def _draw(axes: Axes, table: Sequence[Column], group_height: float) -> None:
    """The dots of some attacks, a group of rows each."""
    ticks = []
    for row, column in enumerate(table):
        top = row * group_height
        ticks.append(top + group_height / 2)
        if row % 2 == 0:
            axes.axhspan(top, top + group_height, color="#F5F6F8", linewidth=0, zorder=0)
        for index, result in enumerate(column.cells):
            y = top + _GAP / 2 + (index + 0.5) * _PITCH
            colour = MODEL_COLOURS[index % len(MODEL_COLOURS)]
            if result is None:
                axes.text(1.0, y, "not run", color=MUTED, fontsize=7.5, va="center")
                continue
            axes.plot([100 * result.low, 100 * result.high], [y, y], color=colour, linewidth=2.0, alpha=0.55)
            marker = MODEL_MARKERS[index % len(MODEL_MARKERS)]
            # Markers at 0% and 100% reach over the edges.
            axes.plot([100 * result.accuracy], [y], marker, color=colour, markersize=6.5, clip_on=False, zorder=3)
            # The number stands where the interval leaves room for it.
            right = result.high <= 0.9
            axes.annotate(
                f"{100 * result.accuracy:.1f}",
                (100 * (result.high if right else result.low), y),
                xytext=(5 if right else -5, 0),
                textcoords="offset points",
                fontsize=8,
                color=INK,
                ha="left" if right else "right",
                va="center",
            )
    axes.set_yticks(ticks, [_heading(column) for column in table])
    axes.tick_params(axis="y", length=0, pad=8, labelcolor=INK, labelsize=8.5)
    axes.grid(visible=False, axis="y")
    axes.set_ylim(len(table) * group_height, 0)
    axes.set_xlim(0, 100)


def save_comparison(models: Sequence[ModelResults], folder: Path) -> Path:
    """Draw the accuracies into ``figures/comparison.png`` and ``.svg`` of a folder.

    Args:
        models: as above.
        folder: exists.

    Returns:
        The path of the PNG.

    Raises:
        RunError: if it cannot be written.
    """
    refuse_link(folder / "figures")
    save(accuracy_figure(models), folder / "figures", "comparison")
    return folder / "figures" / "comparison.png"


def _heading(column: Column) -> str:
    parts = [drawable(column.title), column.note]
    return "\n".join(line for part in parts for line in textwrap.wrap(part, _HEADING_WIDTH))
