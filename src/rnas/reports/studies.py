"""The paper's tables and figures, repeated: its number beside ours, as a CSV file and as figures."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from matplotlib.figure import Figure

from rnas.reports.figures import INK, MUTED, plain, style
from rnas.reports.layers import LayerRow, draw_layers
from rnas.reports.ledger import csv_text, provenance
from rnas.reports.palette import MODEL_COLOURS, MODEL_MARKERS

__all__ = ["StudyRow", "layers_figure", "study_csv", "sweep_figure", "table_figure"]

_TITLES: Final = {"clean": "clean", "fgsm": "FGSM", "pgd20": "PGD-20", "cw": "C&W", "autoattack": "AutoAttack"}
_OURS, _PAPER = MODEL_COLOURS[0], MODEL_COLOURS[1]


@dataclass(frozen=True)
class StudyRow:
    """A number of the paper and ours.

    Args:
        label: what the paper calls the row.
        network: name in the zoo, or what our search found.
        training: "adversarial" or "standard"; empty where nothing is trained.
        data: the paper's data set.
        measure: what is counted: an attack (percent), "parameters_millions", a layer, an operation of a cell.
        paper: the paper's number, or None where it prints none.
        ours: our number, or None where the run is not finished, or cannot be made.
        low: lower end of our number's 95% interval (Wilson), or None.
        high: upper end, or None.
        images: number of test images behind it, or None.
        run: the run directory.
        note: what a reader should know of this row.
        call: what a manifest says of the call that measured it; empty where nothing was measured.
    """

    label: str
    network: str
    training: str
    data: str
    measure: str
    paper: float | None = None
    ours: float | None = None
    low: float | None = None
    high: float | None = None
    images: int | None = None
    run: str = ""
    note: str = ""
    call: Mapping[str, Any] = field(default_factory=dict)

    @property
    def difference(self) -> float | None:
        """Ours less the paper's, or None where one of them is missing."""
        return None if self.ours is None or self.paper is None else self.ours - self.paper


def study_csv(rows: Sequence[StudyRow], study: str, budget: str, sources: Mapping[str, str]) -> str:
    """The rows as CSV text with a header, each with command, seed, commit and hardware.

    Args:
        rows: what was measured, or is still to be.
        study: its name.
        budget: its name.
        sources: the paper's data set -> the images that were used as it, in words.
    """
    unknown = dict.fromkeys(provenance({}))
    return csv_text(
        [
            {
                "study": study,
                "budget": budget,
                "row": row.label,
                "network": row.network,
                "training": row.training,
                "data": row.data,
                "images_of": sources[row.data],
                "measure": row.measure,
                "paper": row.paper,
                "ours": _rounded(row.ours),
                "difference": _rounded(row.difference),
                "low": _rounded(row.low),
                "high": _rounded(row.high),
                "test_images": row.images,
                "note": row.note,
                "run": row.run,
                **(provenance(row.call) if row.call else unknown),
            }
            for row in rows
        ]
    )


def _rounded(value: float | None) -> str:
    return "" if value is None else f"{value:.6g}"


def table_figure(rows: Sequence[StudyRow], title: str, note: str) -> Figure:
    """Draw a table: a line a network, a panel an attack, the paper's accuracy and ours with its interval.

    Args:
        rows: with accuracies in percent; rows of other measures are left out.
        title: what the paper's table is about.
        note: how ours was made; stands below the title.
    """
    measures = [name for name in _TITLES if any(row.measure == name for row in rows)]
    labels = list(dict.fromkeys(row.label for row in rows))
    with style():
        figure, axes = _panels(title, note, len(measures), height=0.26 * len(labels) + 0.75, sharey=True)
        for panel, measure in zip(axes, measures, strict=True):
            for row in (row for row in rows if row.measure == measure):
                line = labels.index(row.label)
                if row.paper is not None:
                    panel.plot([row.paper], [line], "D", color=_PAPER, markersize=4.5, fillstyle="none")
                if row.ours is not None and row.low is not None and row.high is not None:
                    panel.plot([row.low, row.high], [line, line], color=_OURS, linewidth=1.8, alpha=0.5)
                    panel.plot([row.ours], [line], "o", color=_OURS, markersize=5)
            panel.set_title(_TITLES[measure])
            panel.set_xlim(-3, 103)
            panel.set_xlabel("accuracy, %")
        axes[0].set_yticks(range(len(labels)), [plain(label) for label in labels])
        axes[0].tick_params(axis="y", length=0, labelcolor=INK)
        axes[0].set_ylim(len(labels) - 0.4, -0.6)
        handles = [
            axes[0].plot([], [], "D", color=_PAPER, markersize=4.5, fillstyle="none", label="the paper")[0],
            axes[0].plot([], [], "o-", color=_OURS, markersize=5, label="ours (bar: Wilson 95% interval)")[0],
        ]
        figure.legend(handles=handles, loc="outside lower center", ncols=2)
    return figure


def sweep_figure(rows: Sequence[StudyRow], references: Sequence[StudyRow], title: str, note: str) -> Figure:
    """Draw Figure 3: clean and robust accuracy over the bound H, a line a data set.

    Args:
        rows: "clean" and "pgd20" in percent; labels are bounds, from the loosest to the tightest.
        references: what the paper's tables print for its two networks, of which it does not say H: broken lines.
        title: what the figure is about.
        note: how ours was made; stands below the title.
    """
    bounds = list(dict.fromkeys(row.label for row in rows))
    with style():
        figure, axes = _panels(title, note, 2, height=3.2)
        for panel, measure in zip(axes, ("clean", "pgd20"), strict=True):
            for number, data in enumerate(dict.fromkeys(row.data for row in rows)):
                colour = MODEL_COLOURS[number]
                found = [row for row in rows if (row.data, row.measure) == (data, measure) and row.ours is not None]
                # Beside each other, for data sets may have the same accuracy.
                places = [bounds.index(row.label) + 0.05 * number for row in found]
                values = [row.ours for row in found]
                panel.vlines(
                    places,
                    [row.low for row in found],
                    [row.high for row in found],
                    color=colour,
                    alpha=0.5,
                    linewidth=1.8,
                )
                panel.plot(places, values, marker=MODEL_MARKERS[number], color=colour, label=f"{plain(data)}, ours")
                for row in references:
                    if (row.data, row.measure) == (data, measure) and row.paper is not None:
                        panel.axhline(row.paper, color=colour, linestyle=":", linewidth=1)
            panel.plot([], [], color=MUTED, linestyle=":", linewidth=1, label="the paper's RNAS-L and RNAS-H")
            panel.set_title({"clean": "clean images", "pgd20": "PGD-20"}[measure])
            panel.set_xticks(range(len(bounds)), [plain(bound.removeprefix("H = ")) for bound in bounds])
            panel.set_xlabel("H, from loose to tight")
            panel.set_ylim(-3, 103)
        axes[0].set_ylabel("accuracy, %")
        figure.legend(handles=axes[0].get_legend_handles_labels()[0], loc="outside lower center", ncols=4)
    return figure


def layers_figure(layers: Mapping[tuple[str, str], Mapping[str, Sequence[LayerRow]]], title: str, note: str) -> Figure:
    """Draw Figure 1: the vulnerability by layer, a panel for each network and data set, a line a training.

    Args:
        layers: (network, data set) -> training -> its layers, all of one metric.
        title: what the figure is about.
        note: how ours was made; stands below the title.
    """
    with style():
        figure, panels = _panels(title, note, 2, height=2.5 * -(-len(layers) // 2), lines=-(-len(layers) // 2))
        for panel in panels[len(layers) :]:
            panel.set_visible(False)
        for panel, ((network, data), trainings) in zip(panels, layers.items(), strict=False):
            panel.set_title(plain(f"{network}, {data}"))
            if trainings:
                names = [row.layer for row in next(iter(trainings.values()))]
                draw_layers(
                    panel,
                    names,
                    {
                        f"{training} training": {row.layer: row.vulnerability for row in rows}
                        for training, rows in trainings.items()
                    },
                )
            panel.set_ylabel("vulnerability")
    return figure


def _panels(
    title: str, note: str, columns: int, *, height: float, lines: int = 1, sharey: bool = False
) -> tuple[Figure, list[Any]]:
    """A figure with panels side by side, in lines, under a title and a note."""
    width = 2.2 + 2.1 * max(columns, 2)
    heading = [plain(title), *textwrap.wrap(plain(note), round(width * 14))]
    figure = Figure(figsize=(width, height + 0.75 + 0.16 * len(heading)), layout="constrained")
    figure.suptitle("\n".join(heading), x=0.01, ha="left", fontsize=9.5)
    return figure, list(figure.subplots(lines, columns, squeeze=False, sharey=sharey).flat)
