"""The figures of the studies: the paper's number beside ours."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rnas.reports.figures.layers import draw_layers, left_out
from rnas.reports.figures.palette import MODEL_COLOURS, MODEL_MARKERS
from rnas.reports.figures.style import INK, drawable, style
from rnas.reports.layers import LayerRow, layer_quotients
from rnas.reports.studies import ACCURACIES, PARAMETERS, StudyRow, words

__all__ = ["layers_figure", "sweep_figure", "table_figure"]

_OURS, _PAPER = MODEL_COLOURS[0], MODEL_COLOURS[1]


def table_figure(rows: Sequence[StudyRow], title: str, note: str) -> Figure:
    """Draw a table: a line a network, a panel an attack; dots for the paper's accuracy and ours, their numbers below.

    Args:
        rows: accuracies in percent, each panel's of one measure; parameters stand below the names.
        title: what the paper's table is about.
        note: how ours was made; stands below the title.
    """
    measures = [name for name in ACCURACIES if any(row.measure == name for row in rows)]
    # Networks of which there is no accuracy yet would be rows with nothing in them.
    told = [row for row in rows if row.measure in measures and (row.ours is not None or row.paper is not None)]
    labels = list(dict.fromkeys(row.label for row in told)) or list(dict.fromkeys(row.label for row in rows))
    sizes = {row.label: words(row) for row in rows if row.measure == PARAMETERS}
    with style():
        height = 0.36 * len(labels) + 0.85
        figure, axes = _panels(title, note, len(measures), height=height, width=8.5, sharey=True)
        for panel, measure in zip(axes, measures, strict=True):
            _draw_column(panel, {labels.index(row.label): row for row in told if row.measure == measure})
            panel.set_title(ACCURACIES[measure])
        names = [
            f"{drawable(label)}\n{' / '.join(sizes[label][:2])} M" if label in sizes else drawable(label)
            for label in labels
        ]
        axes[0].set_yticks(range(len(labels)), names)
        axes[0].set_ylim(len(labels) - 0.5, -1.0)
        handles = [
            axes[0].plot([], [], "o-", color=_OURS, markersize=5, label="ours (bar: Wilson 95% interval)")[0],
            axes[0].plot([], [], "D", color=_PAPER, markersize=4.5, fillstyle="none", label="the paper")[0],
            axes[0].plot([], [], " ", label="below the names: parameters, ours / the paper")[0],
        ]
        figure.legend(handles=handles, loc="outside lower center", ncols=3)
    return figure


def _draw_column(panel: Axes, rows: Mapping[int, StudyRow]) -> None:
    """The dots of one measure by line, and under them the numbers in three columns."""
    places = {0.28: _OURS, 0.65: _PAPER, 1.0: INK}
    text: dict[str, Any] = {"transform": panel.get_yaxis_transform(), "ha": "right", "va": "center", "fontsize": 7}
    for (place, colour), heading in zip(places.items(), ("ours", "paper", "diff."), strict=True):
        panel.text(place, -0.7, heading, color=colour, **text)
    for line, row in rows.items():
        if line % 2 == 0:
            panel.axhspan(line - 0.5, line + 0.5, color="#F5F6F8", linewidth=0, zorder=0)
        dots = line - 0.2
        if row.paper is not None:
            panel.plot([row.paper], [dots], "D", color=_PAPER, markersize=4.5, fillstyle="none")
        if row.ours is not None and row.low is not None and row.high is not None:
            panel.plot([row.low, row.high], [dots, dots], color=_OURS, linewidth=1.8, alpha=0.5)
            panel.plot([row.ours], [dots], "o", color=_OURS, markersize=4.5)
        for (place, colour), number in zip(places.items(), words(row), strict=True):
            panel.text(place, line + 0.22, number, color=colour, **text)
    panel.grid(visible=False, axis="y")
    panel.tick_params(axis="y", length=0, labelcolor=INK, labelsize=7)
    panel.set_xlim(-3, 103)
    panel.set_xlabel("accuracy, %")


def sweep_figure(rows: Sequence[StudyRow], references: Sequence[StudyRow], title: str, note: str) -> Figure:
    """Draw Figure 3: clean and robust accuracy over the bound H, a line a data set.

    Args:
        rows: "clean" and "pgd20" in percent; labels are bounds, from the loosest to the tightest.
        references: what the paper's tables print for its two networks, of which it does not say H: broken lines, with
            their numbers in the legend, for several lie on each other. "clean" comes before "pgd20".
        title: what the figure is about.
        note: how ours was made; stands below the title.
    """
    bounds = list(dict.fromkeys(row.label for row in rows))
    sets = list(dict.fromkeys(row.data for row in rows))
    # By the network, dotted and dashed, for the lines of a data set share its colour.
    patterns = dict(zip(dict.fromkeys(row.label for row in references), (":", "--", "-."), strict=False))
    numbers: dict[tuple[str, str], list[str]] = {}
    for row in references:
        numbers.setdefault((row.label, row.data), []).append(words(row)[1])
    with style():
        figure, axes = _panels(title, note, 2, height=3.4, width=8.5)
        for panel, measure in zip(axes, ("clean", "pgd20"), strict=True):
            for number, data in enumerate(sets):
                colour = MODEL_COLOURS[number]
                found = [row for row in rows if (row.data, row.measure) == (data, measure) and row.ours is not None]
                # Beside each other, for data sets may have the same accuracy.
                places = [bounds.index(row.label) + 0.05 * number for row in found]
                low, high = [row.low for row in found], [row.high for row in found]
                panel.vlines(places, low, high, color=colour, alpha=0.5, linewidth=1.8)
                values = [row.ours for row in found]
                panel.plot(places, values, marker=MODEL_MARKERS[number], color=colour, label=f"{drawable(data)}, ours")
                for row in references:
                    if (row.data, row.measure) == (data, measure) and row.paper is not None:
                        label = f"{drawable(data)}, paper's {row.label}: {' / '.join(numbers[row.label, data])}"
                        panel.axhline(row.paper, color=colour, linestyle=patterns[row.label], linewidth=1, label=label)
            panel.set_title({"clean": "clean images", "pgd20": "PGD-20"}[measure])
            panel.set_xticks(range(len(bounds)), [drawable(bound.removeprefix("H = ")) for bound in bounds])
            panel.set_xlabel("H, from loose to tight")
            panel.set_ylim(-3, 103)
        axes[0].set_ylabel("accuracy, %")
        handles = axes[0].get_legend_handles_labels()[0]
        figure.legend(
            handles=handles,
            loc="outside lower center",
            ncols=max(1, len(sets)),  # a column a data set
            fontsize=8,
            title="behind the paper's networks: clean / PGD-20",
            title_fontsize=8,
        )
    return figure


def layers_figure(layers: Mapping[tuple[str, str], Mapping[str, Sequence[LayerRow]]], title: str, note: str) -> Figure:
    """Draw Figure 1: the vulnerability by layer, a panel for each network and data set, a line a training.

    Args:
        layers: (network, data set) -> "standard" and "adversarial" -> the layers after that training, all of one
            metric; none if they were not measured.
        title: what the figure is about.
        note: how ours was made; stands below the title.
    """
    drawn = [row for trainings in layers.values() for rows in trainings.values() for row in rows]
    note = "; ".join(filter(None, [note, left_out(drawn)]))
    lines = -(-len(layers) // 2)
    with style():
        figure, panels = _panels(title, note, 2, height=2.5 * lines, width=8.0, lines=lines)
        for panel in panels[len(layers) :]:
            panel.set_visible(False)
        handles: dict[str, Any] = {}
        for panel, ((network, data), trainings) in zip(panels, layers.items(), strict=False):
            panel.set_title(drawable(f"{network}, {data}"))
            if any(trainings.values()):
                draw_layers(panel, {f"{training} training": rows for training, rows in trainings.items()})
                quotients = _quotients(trainings["standard"], trainings["adversarial"])
                panel.set_xlabel(f"{panel.get_xlabel()}\n{quotients}".rstrip(), fontsize=8)
                handles |= {str(line.get_label()): line for line in panel.get_lines()}
            panel.set_ylabel("vulnerability")
        figure.legend(handles=list(handles.values()), loc="outside lower center", ncols=2)
    return figure


def _quotients(standard: Sequence[LayerRow], adversarial: Sequence[LayerRow]) -> str:
    """The paper's claim is that these are above 1."""
    found = layer_quotients(standard, adversarial).values()
    if not found:
        return ""
    above = sum(quotient > 1 for quotient in found)
    return f"standard / adversarial: {min(found):.2g} to {max(found):.2g}, above 1 in {above} of {len(found)} layers"


def _panels(
    title: str, note: str, columns: int, *, height: float, width: float, lines: int = 1, sharey: bool = False
) -> tuple[Figure, list[Any]]:
    """A figure with panels side by side, in lines, under a title and a note."""
    heading = [drawable(title), *textwrap.wrap(drawable(note), round(width * 14))]
    figure = Figure(figsize=(width, height + 0.75 + 0.16 * len(heading)), layout="constrained")
    figure.suptitle("\n".join(heading), x=0.01, ha="left", fontsize=9.5)
    return figure, list(figure.subplots(lines, columns, squeeze=False, sharey=sharey).flat)
