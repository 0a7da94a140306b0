"""The robust-accuracy table as a figure: a dot and its interval for each model under each attack."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

from matplotlib.figure import Figure

from rnas.files import refuse_link
from rnas.reports.figures import INK, MUTED, plain, save, style
from rnas.reports.palette import MODEL_COLOURS, MODEL_MARKERS
from rnas.reports.tables import columns

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from rnas.reports.results import ModelResults
    from rnas.reports.tables import Column

__all__ = ["accuracy_figure", "save_comparison"]

_HEADING_WIDTH = 24  # letters that fit to the left of the axes


def accuracy_figure(models: Sequence[ModelResults]) -> Figure:
    """Draw the accuracies, grouped by attack.

    Args:
        models: at least one, with at least one result in all.

    Returns:
        The figure. The dashed line is chance, where all models have the same number of classes.
    """
    table = columns(models)
    pitch, gap = 0.26, 0.30
    height = len(table) * (len(models) * pitch + gap)
    legend_rows = -(-len(models) // 4)
    below, above = 0.55, 0.30 + 0.24 * legend_rows
    with style():
        figure = Figure(figsize=(8.6, height + below + above))
        total = height + below + above
        axes = figure.add_axes((0.225, below / total, 0.745, height / total))
        ticks = []
        for row, column in enumerate(table):
            top = row * (len(models) * pitch + gap)
            ticks.append(top + (len(models) * pitch + gap) / 2)
            if row % 2 == 0:
                axes.axhspan(top, top + len(models) * pitch + gap, color="#F5F6F8", linewidth=0, zorder=0)
            for index, result in enumerate(column.cells):
                y = top + gap / 2 + (index + 0.5) * pitch
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
        axes.set_ylim(height, 0)
        axes.set_xlim(0, 100)
        axes.set_xlabel("correctly classified images, % (bar: Wilson 95% interval)")
        handles = [
            axes.plot([], [], MODEL_MARKERS[i % len(MODEL_MARKERS)], color=MODEL_COLOURS[i % len(MODEL_COLOURS)])[0]
            for i in range(len(models))
        ]
        labels = [plain(model.name) for model in models]
        classes = {model.classes for model in models}
        if len(classes) == 1 and (number := classes.pop()):
            handles.append(axes.axvline(100 / number, color=MUTED, linestyle="--", linewidth=1, zorder=1))
            labels.append(f"chance ({100 / number:.1f}%)")
        figure.legend(handles, labels, loc="upper left", bbox_to_anchor=(0.215, 1.0), ncols=4, handlelength=1.4)
    return figure


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
    parts = [plain(column.title), column.note]
    return "\n".join(line for part in parts for line in textwrap.wrap(part, _HEADING_WIDTH))
