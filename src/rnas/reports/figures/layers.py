"""The vulnerability by layer as a figure, the paper's Fig. 1."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from matplotlib.figure import Figure
from matplotlib.ticker import LogFormatter, MaxNLocator

from rnas.reports.figures.palette import MODEL_COLOURS, MODEL_MARKERS
from rnas.reports.figures.style import MUTED, drawable, style
from rnas.reports.layers import ONE_POSITION, groups_of, layers_of, metrics_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.axes import Axes

    from rnas.reports.layers import LayerRow

__all__ = ["draw_layers", "layer_figure", "left_out"]

_COLUMNS: Final = 2  # panels side by side


class PlainNumbers(LogFormatter):
    """The labels of a logarithmic axis without powers: matplotlib's are formulas, which the style turns off."""

    def __call__(self, x: float, pos: int | None = None) -> str:
        """The label of a tick; empty where there would be too many."""
        return f"{x:g}" if super().__call__(x, pos) else ""


def layer_figure(rows: Sequence[LayerRow]) -> Figure:
    """Draw the vulnerability over the layers: one axis for all models, a panel for each metric.

    Args:
        rows: at least one.
    """
    models = list(dict.fromkeys(row.model for row in rows))
    metrics = metrics_of(rows)
    together = len(groups_of(rows)) > 1
    columns = min(_COLUMNS, len(metrics))
    lines = -(-len(metrics) // columns)
    with style():
        figure = Figure(figsize=(1.0 + 4.6 * columns, 0.3 + 3.3 * lines), layout="constrained")
        panels = figure.subplots(lines, columns, squeeze=False)
        for panel in panels.flat[len(metrics) :]:
            panel.set_visible(False)
        for panel, metric in zip(panels.flat, metrics, strict=False):
            draw = draw_depths if together else draw_layers
            draw(panel, {model: layers_of(rows, model, metric) for model in models})
            panel.set_title(f"vulnerability, {metric}")
        axes: Axes = panels[0, 0]
        handles, labels = axes.get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper left", ncols=1 if together else 3)
        told = [left_out(rows, together=together), "more vulnerable is higher"]
        figure.supxlabel("; ".join(filter(None, told)), x=0.01, ha="left", fontsize=8, color=MUTED)
    return figure


def left_out(rows: Sequence[LayerRow], *, together: bool = False) -> str:
    """Say what a panel cannot show of these layers; empty if it shows all.

    Args:
        rows: the layers.
        together: whether models of different layers share the panel, in which no place is grey for all.
    """
    undefined = f"{'no dot' if together else 'grey'}: {ONE_POSITION}"
    words = [] if all(row.defined for row in rows) else [undefined]
    if any(row.defined and row.vulnerability <= 0 for row in rows):
        words.append("a vulnerability of 0 has no place on a logarithmic axis")
    return "; ".join(words)


def draw_layers(axes: Axes, lines: Mapping[str, Sequence[LayerRow]]) -> None:
    """Draw one panel; a layer without a value is grey.

    Args:
        axes: where.
        lines: the layers by what the legend calls the line, all of one metric, with the same names and maps; of one at
            least. Without layers a line only takes its colour.
    """
    layers = next(rows for rows in lines.values() if rows)
    logarithmic = _logarithmic(lines)
    for number, (name, rows) in enumerate(lines.items()):
        _draw_line(axes, rows, range(1, len(rows) + 1), number, name, logarithmic=logarithmic)
    for place, row in enumerate(layers, start=1):
        if not row.defined:
            axes.axvspan(place - 0.5, place + 0.5, color="#EFEFEF", linewidth=0)
    _scale(axes, logarithmic=logarithmic)
    axes.set_xlim(0.5, len(layers) + 0.5)
    first, last = layers[0].layer, layers[-1].layer
    axes.set_xlabel(drawable(f"layer, {first} to {last}" if len(layers) > 1 else f"layer {first}"))
    axes.xaxis.set_major_locator(MaxNLocator(nbins=8, integer=True, min_n_ticks=1))


def draw_depths(axes: Axes, lines: Mapping[str, Sequence[LayerRow]]) -> None:
    """Draw one panel for models of different layers: from each one's first layer on the left to its last on the right.

    Args:
        axes: where.
        lines: the layers by model, all of one metric.
    """
    logarithmic = _logarithmic(lines)
    for number, (name, rows) in enumerate(lines.items()):
        last = max(1, len(rows) - 1)
        counted = f"{len(rows)} layers" if len(rows) > 1 else "1 layer"
        span = " to ".join(dict.fromkeys([rows[0].layer, rows[-1].layer]))
        label = f"{name}: {counted}, {span}"
        _draw_line(axes, rows, [place / last for place in range(len(rows))], number, label, logarithmic=logarithmic)
    _scale(axes, logarithmic=logarithmic)
    axes.set_xlim(-0.06, 1.06)
    axes.set_xticks([0, 0.5, 1], ["first", "middle", "last"])
    axes.set_xlabel("layer of each network")


def _logarithmic(lines: Mapping[str, Sequence[LayerRow]]) -> bool:
    """Where nothing was moved there is no logarithm to draw."""
    return any(row.vulnerability > 0 for rows in lines.values() for row in rows if row.defined)


def _draw_line(
    axes: Axes, rows: Sequence[LayerRow], places: Sequence[float], number: int, label: str, *, logarithmic: bool
) -> None:
    drawn = [row.defined and (row.vulnerability > 0 or not logarithmic) for row in rows]
    axes.plot(
        places,
        [row.vulnerability if there else math.nan for row, there in zip(rows, drawn, strict=True)],
        color=MODEL_COLOURS[number % len(MODEL_COLOURS)],
        marker=MODEL_MARKERS[number % len(MODEL_MARKERS)],
        markersize=4.5,
        label=drawable(label),
    )


def _scale(axes: Axes, *, logarithmic: bool) -> None:
    if logarithmic:
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter(PlainNumbers())
        axes.yaxis.set_minor_formatter(PlainNumbers(minor_thresholds=(1, 0.4)))
    else:
        axes.set_ylim(bottom=0)
