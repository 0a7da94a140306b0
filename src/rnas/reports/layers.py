"""The vulnerability by layer, the paper's Fig. 1: a CSV file, tables for the terminal, and the figure."""

from __future__ import annotations

import csv
import io
import math
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any, Final

from matplotlib.figure import Figure
from matplotlib.ticker import LogFormatter, MaxNLocator
from rich.table import Table
from rich.text import Text

from rnas.documents import text_of
from rnas.errors import RunError
from rnas.files import read_bytes
from rnas.reports.figures import MUTED, plain, style
from rnas.reports.ledger import provenance
from rnas.reports.palette import MODEL_COLOURS, MODEL_MARKERS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from matplotlib.axes import Axes

__all__ = [
    "ONE_POSITION",
    "LayerRow",
    "draw_layers",
    "layer_figure",
    "layer_quotients",
    "layer_tables",
    "layers_csv",
    "left_out",
    "read_layers",
]

_COLUMNS: Final = 3  # panels side by side

#: Metrics that compare distributions over the positions of a map. Of a map of one position the KL is 0 whatever the
#: attack did, and a Gaussian has no variance.
_OVER_POSITIONS: Final = ("kl", "kl_per_position", "kl_standardised", "gaussian_kl")

#: Why a layer has no value.
ONE_POSITION: Final = "maps of one position have no distribution over positions"


@dataclass(frozen=True)
class LayerRow:
    """The vulnerability of one layer of one model under one metric.

    Args:
        model: its name.
        layer: name of the module.
        channels: of its feature maps.
        height: of its feature maps, in pixels.
        width: of its feature maps, in pixels.
        metric: how the deviation was measured; says the unit.
        vulnerability: mean over images and channels (Eq. 4), at least 0.
    """

    model: str
    layer: str
    channels: int
    height: int
    width: int
    metric: str
    vulnerability: float

    @property
    def defined(self) -> bool:
        """Whether the metric says anything of such maps."""
        return self.height * self.width > 1 or self.metric not in _OVER_POSITIONS


class PlainNumbers(LogFormatter):
    """The labels of a logarithmic axis without powers: matplotlib's are formulas, which the style turns off."""

    def __call__(self, x: float, pos: int | None = None) -> str:
        """The label of a tick; empty where there would be too many."""
        return f"{x:g}" if super().__call__(x, pos) else ""


#: Models whose layers have the same names and maps: one panel, one table.
Group = tuple[tuple[str, ...], list[str]]


def layers_csv(rows: Sequence[LayerRow], settings: Mapping[str, Any], manifest: Mapping[str, Any]) -> str:
    """The rows as CSV text with a header.

    Args:
        rows: at least one.
        settings: what was attacked and how, by name; the same in each line.
        manifest: of the run, for command, seed, commit and hardware in each line.
    """
    text = io.StringIO()
    common = {**settings, **provenance(manifest)}
    del common["finished"]  # the file is what finishes the run
    writer = csv.DictWriter(text, [*(field.name for field in fields(LayerRow)), *common], lineterminator="\n")
    writer.writeheader()
    writer.writerows({**asdict(row), **common} for row in rows)
    return text.getvalue()


def read_layers(path: Path) -> list[LayerRow]:
    """The rows of a file that `layers_csv` made.

    Raises:
        RunError: if the file is missing or damaged.
    """
    try:
        text = text_of(read_bytes(path), str(path))
        return [
            LayerRow(
                model=line["model"],
                layer=line["layer"],
                channels=int(line["channels"]),
                height=int(line["height"]),
                width=int(line["width"]),
                metric=line["metric"],
                vulnerability=float(line["vulnerability"]),
            )
            for line in csv.DictReader(io.StringIO(text, newline=""))
        ]
    except (OSError, ValueError, KeyError, TypeError, csv.Error) as error:
        raise RunError(f"{path} is missing or damaged: {error!r}") from error


def layer_tables(rows: Sequence[LayerRow]) -> list[Table]:
    """A table for each metric and the models that have the same layers: a row a layer, and their mean (Eq. 6).

    Layers of which the metric says nothing have a dash and take no part in the mean.
    """
    tables = []
    for metric in _metrics(rows):
        for layers, models in _groups(rows):
            found = {model: _layers_of(rows, model, metric) for model in models}
            first = found[models[0]]
            omitted = not all(row.defined for row in first)
            caption = f"-: {ONE_POSITION}; not in the mean" if omitted else None
            table = Table(title=f"Vulnerability by layer, {metric}", title_justify="left", caption=caption)
            table.add_column("Layer")
            table.add_column("Maps", justify="right", no_wrap=True)
            for model in models:
                table.add_column(Text(plain(model)), justify="right", overflow="fold")
            for index, layer in enumerate(layers):
                maps = f"{first[index].channels} x {first[index].height} x {first[index].width}"
                cells = [_number(found[model][index : index + 1]) for model in models]
                table.add_row(Text(layer), maps, *cells)
            table.add_section()
            table.add_row("mean", "", *(_number(found[model]) for model in models))
            tables.append(table)
    return tables


def _number(rows: Sequence[LayerRow]) -> str:
    """The mean over those layers of which the metric says something."""
    values = [row.vulnerability for row in rows if row.defined]
    return f"{sum(values) / len(values):.3g}" if values else "-"


def layer_figure(rows: Sequence[LayerRow]) -> Figure:
    """Draw the vulnerability over the layers: a panel for each metric and the models that have the same layers.

    Args:
        rows: at least one.
    """
    groups = _groups(rows)
    metrics = _metrics(rows)
    columns = min(_COLUMNS, len(groups))
    lines = -(-len(groups) // columns)
    with style():
        figure = Figure(figsize=(1.0 + 3.6 * columns, 3.3 * lines * len(metrics)), layout="constrained")
        panels = figure.subplots(lines * len(metrics), columns, squeeze=False)
        for panel in panels.flat:
            panel.set_visible(False)
        for row, metric in enumerate(metrics):
            for index, (_, models) in enumerate(groups):
                axes: Axes = panels[row * lines + index // columns, index % columns]
                axes.set_visible(True)
                draw_layers(axes, {model: _layers_of(rows, model, metric) for model in models})
                axes.legend(loc="lower left", bbox_to_anchor=(0, 1))  # above the curves, not on them
                axes.set_ylabel(f"vulnerability, {metric}")
        if told := left_out(rows):
            figure.supxlabel(told, x=0.01, ha="left", fontsize=8, color=MUTED)
    return figure


def layer_quotients(rows: Sequence[LayerRow], others: Sequence[LayerRow]) -> dict[str, float]:
    """How many times as vulnerable each layer of a model is as that of another, where there is a quotient."""
    vulnerable = {row.layer: row.vulnerability for row in others if row.defined and row.vulnerability > 0}
    return {row.layer: row.vulnerability / vulnerable[row.layer] for row in rows if row.layer in vulnerable}


def left_out(rows: Sequence[LayerRow]) -> str:
    """What `draw_layers` cannot show of these layers, in words; empty if it shows all."""
    words = [] if all(row.defined for row in rows) else [f"grey: {ONE_POSITION}"]
    if any(row.defined and row.vulnerability <= 0 for row in rows):
        words.append("a vulnerability of 0 has no place on a logarithmic axis")
    return "; ".join(words)


def draw_layers(axes: Axes, lines: Mapping[str, Sequence[LayerRow]]) -> None:
    """Draw one panel; layers of which the metric says nothing are grey.

    Args:
        axes: where.
        lines: the layers by what the legend calls the line, all of one metric, with the same names and maps; of one at
            least. Without layers a line only takes its colour.
    """
    layers = next(rows for rows in lines.values() if rows)
    # Where nothing was moved there is no logarithm to draw.
    logarithmic = any(row.vulnerability > 0 for rows in lines.values() for row in rows if row.defined)
    for number, (name, rows) in enumerate(lines.items()):
        drawn = [row.defined and (row.vulnerability > 0 or not logarithmic) for row in rows]
        axes.plot(
            range(1, len(rows) + 1),
            [row.vulnerability if there else math.nan for row, there in zip(rows, drawn, strict=True)],
            color=MODEL_COLOURS[number % len(MODEL_COLOURS)],
            marker=MODEL_MARKERS[number % len(MODEL_MARKERS)],
            markersize=4.5,
            label=plain(name),
        )
    for place, row in enumerate(layers, start=1):
        if not row.defined:
            axes.axvspan(place - 0.5, place + 0.5, color="#EFEFEF", linewidth=0)
    if logarithmic:
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter(PlainNumbers())
        axes.yaxis.set_minor_formatter(PlainNumbers(minor_thresholds=(1, 0.4)))
    else:
        axes.set_ylim(bottom=0)
    axes.set_xlim(0.5, len(layers) + 0.5)
    first, last = layers[0].layer, layers[-1].layer
    axes.set_xlabel(plain(f"layer, {first} to {last}" if len(layers) > 1 else f"layer {first}"))
    axes.xaxis.set_major_locator(MaxNLocator(nbins=8, integer=True, min_n_ticks=1))


def _metrics(rows: Sequence[LayerRow]) -> list[str]:
    return list(dict.fromkeys(row.metric for row in rows))


def _layers_of(rows: Sequence[LayerRow], model: str, metric: str) -> list[LayerRow]:
    return [row for row in rows if (row.model, row.metric) == (model, metric)]


def _groups(rows: Sequence[LayerRow]) -> list[Group]:
    shapes: dict[str, dict[str, tuple[int, int, int]]] = {}
    for row in rows:
        shapes.setdefault(row.model, {})[row.layer] = (row.channels, row.height, row.width)
    groups: dict[tuple[tuple[str, tuple[int, int, int]], ...], list[str]] = {}
    for model, layers in shapes.items():
        groups.setdefault(tuple(layers.items()), []).append(model)
    return [(tuple(name for name, _ in layers), models) for layers, models in groups.items()]
