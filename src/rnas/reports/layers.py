"""The vulnerability by layer: a CSV file, and tables for the terminal."""

from __future__ import annotations

import csv
import io
import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from rich.table import Table
from rich.text import Text

from rnas.documents import text_of
from rnas.errors import RunError
from rnas.reports.ledger import csv_text, recorded_origin, written
from rnas.run.files import read_bytes
from rnas.terminal import printable
from rnas.vulnerability.positions import ONE_POSITION, tells

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

__all__ = [
    "ONE_POSITION",
    "LayerRow",
    "groups_of",
    "layer_quotients",
    "layer_tables",
    "layers_csv",
    "layers_of",
    "mean_vulnerability",
    "metrics_of",
    "read_layers",
]


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
    def constant(self) -> bool:
        """Whether a constant channel decides the number."""
        return self.defined and self.vulnerability >= CONSTANT

    @property
    def defined(self) -> bool:
        """Whether the metric says anything of such maps."""
        return tells(self.metric, self.height, self.width)


#: An F from here on comes of a division by next to nothing: by how much a channel varies that is constant.
CONSTANT = 1e4

CONSTANT_WORDS = "a channel is constant on clean or on adversarial images, and F divides by how much it varies"


#: Models whose layers have the same names and maps: one table.
Group = tuple[tuple[str, ...], list[str]]


def layers_csv(rows: Sequence[LayerRow], settings: Mapping[str, Any], manifest: Mapping[str, Any]) -> str:
    """The rows as CSV text with a header.

    Args:
        rows: at least one.
        settings: what was attacked and how, by name; the same in each line.
        manifest: of the run, for command, seed, commit and hardware in each line.
    """
    common = {**settings, **recorded_origin(manifest)}
    del common["finished"]  # the file is what finishes the run
    return csv_text([{**asdict(row), **common} for row in rows])


def read_layers(path: Path) -> list[LayerRow]:
    """The rows of a file that `layers_csv` made.

    Raises:
        RunError: if the file is missing or damaged.
    """
    try:
        text = text_of(read_bytes(path), str(path))
        rows = [
            LayerRow(
                model=written(line["model"]),
                layer=written(line["layer"]),
                channels=int(line["channels"]),
                height=int(line["height"]),
                width=int(line["width"]),
                metric=written(line["metric"]),
                vulnerability=float(line["vulnerability"]),
            )
            for line in csv.DictReader(io.StringIO(text, newline=""))
        ]
    except (OSError, ValueError, KeyError, TypeError, csv.Error) as error:
        raise RunError(f"{path} is missing or damaged: {repr(error)[:200]}") from error
    layers: dict[tuple[str, str], list[tuple[str, int, int, int]]] = {}
    for row in rows:
        # A KL of nearly equal maps is 0 up to rounding, which may fall below.
        if min(row.channels, row.height, row.width) < 1 or not -1e-6 < row.vulnerability < math.inf:
            raise RunError(f"{path} is damaged: layer {row.layer!r} has a size below 1 or no finite vulnerability >= 0")
        layers.setdefault((row.model, row.metric), []).append((row.layer, row.channels, row.height, row.width))
    others = {model: found for (model, _), found in layers.items()}
    if not rows or any(found != others[model] for (model, _), found in layers.items()):
        raise RunError(f"{path} is damaged: expected the same layers of a model under each metric, and at least one")
    return rows


def layer_tables(rows: Sequence[LayerRow]) -> list[Table]:
    """A table for each metric and the models that have the same layers: a row a layer, and their mean (Eq. 6).

    Layers of which the metric says nothing have a dash and take no part in the mean. A number that constant channels
    decide has an exclamation mark.
    """
    tables = []
    for metric in metrics_of(rows):
        for layers, models in groups_of(rows):
            found = {model: layers_of(rows, model, metric) for model in models}
            first = found[models[0]]
            remarks = [f"-: {ONE_POSITION}; not in the mean"] * any(not row.defined for row in first)
            remarks += [f"!: {CONSTANT_WORDS}"] * any(row.constant for model in models for row in found[model])
            caption = "\n".join(remarks) or None
            table = Table(
                title=Text(f"Vulnerability by layer, {printable(metric)}"), title_justify="left", caption=caption
            )
            table.add_column("Layer")
            table.add_column("Maps", justify="right", no_wrap=True)
            for model in models:
                table.add_column(Text(printable(model)), justify="right", overflow="fold")
            for index, layer in enumerate(layers):
                maps = f"{first[index].channels} x {first[index].height} x {first[index].width}"
                cells = [_number(found[model][index : index + 1]) for model in models]
                table.add_row(Text(printable(layer)), maps, *cells)
            table.add_section()
            table.add_row("mean", "", *(_number(found[model]) for model in models))
            tables.append(table)
    return tables


def mean_vulnerability(rows: Sequence[LayerRow]) -> float | None:
    """The mean over the layers of one model that have a value (Eq. 6); None if none has."""
    values = [row.vulnerability for row in rows if row.defined]
    return sum(values) / len(values) if values else None


def _number(rows: Sequence[LayerRow]) -> str:
    value = mean_vulnerability(rows)
    return "-" if value is None else f"{value:.3g}{' !' * any(row.constant for row in rows)}"


def layer_quotients(rows: Sequence[LayerRow], others: Sequence[LayerRow]) -> dict[str, float]:
    """Each layer's vulnerability divided by that of the same layer in another model, where there is a quotient."""
    vulnerable = {row.layer: row.vulnerability for row in others if row.defined and row.vulnerability > 0}
    return {row.layer: row.vulnerability / vulnerable[row.layer] for row in rows if row.layer in vulnerable}


def metrics_of(rows: Sequence[LayerRow]) -> list[str]:
    """The metrics, in order."""
    return list(dict.fromkeys(row.metric for row in rows))


def layers_of(rows: Sequence[LayerRow], model: str, metric: str) -> list[LayerRow]:
    """The layers of a model under a metric, in order."""
    return [row for row in rows if (row.model, row.metric) == (model, metric)]


def groups_of(rows: Sequence[LayerRow]) -> list[Group]:
    """The models, those together whose layers have the same names and maps."""
    shapes: dict[str, dict[str, tuple[int, int, int]]] = {}
    for row in rows:
        shapes.setdefault(row.model, {})[row.layer] = (row.channels, row.height, row.width)
    groups: dict[tuple[tuple[str, tuple[int, int, int]], ...], list[str]] = {}
    for model, layers in shapes.items():
        groups.setdefault(tuple(layers.items()), []).append(model)
    return [(tuple(name for name, _ in layers), models) for layers, models in groups.items()]
