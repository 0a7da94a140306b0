"""The vulnerability by layer, the paper's Fig. 1: a CSV file, tables for the terminal, and the figure."""

from __future__ import annotations

import csv
import io
import math
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any, Final

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullFormatter
from rich.table import Table
from rich.text import Text

from rnas.errors import RunError
from rnas.reports.figures import plain, style
from rnas.reports.ledger import provenance
from rnas.reports.palette import MODEL_COLOURS, MODEL_MARKERS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from matplotlib.axes import Axes

__all__ = ["LayerRow", "draw_layers", "layer_figure", "layer_tables", "layers_csv", "read_layers"]

_COLUMNS: Final = 3  # panels side by side
_SPREAD: Final = 100  # greatest quotient of two values that a linear axis still shows


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
        with path.open(newline="", encoding="utf-8") as file:
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
                for line in csv.DictReader(file)
            ]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RunError(f"{path} is missing or damaged: {error!r}") from error


def layer_tables(rows: Sequence[LayerRow]) -> list[Table]:
    """A table for each metric and the models that have the same layers: a row a layer, and their mean (Eq. 6)."""
    tables = []
    values = _values(rows)
    for metric in _metrics(rows):
        for layers, models in _groups(rows):
            shapes = {row.layer: (row.channels, row.height, row.width) for row in rows if row.model == models[0]}
            table = Table(title=f"Vulnerability by layer, {metric}", title_justify="left")
            table.add_column("Layer")
            table.add_column("Maps", justify="right", no_wrap=True)
            for model in models:
                table.add_column(Text(plain(model)), justify="right", overflow="fold")
            for layer in layers:
                maps = "{} x {} x {}".format(*shapes[layer])
                table.add_row(Text(layer), maps, *(f"{values[model, metric][layer]:.3g}" for model in models))
            table.add_section()
            means = [sum(values[model, metric].values()) / len(layers) for model in models]
            table.add_row("mean", "", *(f"{mean:.3g}" for mean in means))
            tables.append(table)
    return tables


def layer_figure(rows: Sequence[LayerRow]) -> Figure:
    """Draw the vulnerability over the layers: a panel for each metric and the models that have the same layers.

    The vertical axis is logarithmic where the values differ more than a hundredfold; it then has no place for zeros (KL
    of maps of one pixel), which are left out.

    Args:
        rows: at least one.
    """
    values = _values(rows)
    groups = _groups(rows)
    metrics = _metrics(rows)
    columns = min(_COLUMNS, len(groups))
    lines = -(-len(groups) // columns)
    with style():
        figure = Figure(figsize=(1.0 + 3.6 * columns, 2.9 * lines * len(metrics)), layout="constrained")
        panels = figure.subplots(lines * len(metrics), columns, squeeze=False)
        for panel in panels.flat:
            panel.set_visible(False)
        for row, metric in enumerate(metrics):
            for index, (layers, models) in enumerate(groups):
                axes: Axes = panels[row * lines + index // columns, index % columns]
                axes.set_visible(True)
                draw_layers(axes, layers, {model: values[model, metric] for model in models})
                axes.set_ylabel(f"vulnerability, {metric}")
    return figure


def draw_layers(axes: Axes, layers: Sequence[str], values: Mapping[str, Mapping[str, float]]) -> None:
    """Draw one panel.

    Args:
        axes: where.
        layers: names, in order.
        values: vulnerability by layer, by what the legend calls the line.
    """
    positive = [value for found in values.values() for value in found.values() if value > 0]
    logarithmic = bool(positive) and max(positive) > _SPREAD * min(positive)
    for number, (model, found) in enumerate(values.items()):
        axes.plot(
            range(1, len(layers) + 1),
            [math.nan if logarithmic and found[layer] <= 0 else found[layer] for layer in layers],
            color=MODEL_COLOURS[number % len(MODEL_COLOURS)],
            marker=MODEL_MARKERS[number % len(MODEL_MARKERS)],
            markersize=4.5,
            label=plain(model),
        )
    if logarithmic:
        axes.set_yscale("log")
        # The default labels are formulas, which the style turns off.
        axes.yaxis.set_major_formatter("{x:g}")
        axes.yaxis.set_minor_formatter(NullFormatter())
    else:
        axes.set_ylim(bottom=0)
    axes.set_xlabel(plain(f"layer, {layers[0]} to {layers[-1]}" if len(layers) > 1 else f"layer {layers[0]}"))
    axes.xaxis.set_major_locator(MaxNLocator(nbins=8, integer=True, min_n_ticks=1))
    axes.legend()


def _metrics(rows: Sequence[LayerRow]) -> list[str]:
    return list(dict.fromkeys(row.metric for row in rows))


def _values(rows: Sequence[LayerRow]) -> dict[tuple[str, str], dict[str, float]]:
    """(model, metric) -> layer -> vulnerability."""
    found: dict[tuple[str, str], dict[str, float]] = {}
    for row in rows:
        found.setdefault((row.model, row.metric), {})[row.layer] = row.vulnerability
    return found


def _groups(rows: Sequence[LayerRow]) -> list[Group]:
    shapes: dict[str, dict[str, tuple[int, int, int]]] = {}
    for row in rows:
        shapes.setdefault(row.model, {})[row.layer] = (row.channels, row.height, row.width)
    groups: dict[tuple[tuple[str, tuple[int, int, int]], ...], list[str]] = {}
    for model, layers in shapes.items():
        groups.setdefault(tuple(layers.items()), []).append(model)
    return [(tuple(name for name, _ in layers), models) for layers, models in groups.items()]
