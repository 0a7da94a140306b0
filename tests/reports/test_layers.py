"""The vulnerability by layer as a file, as tables and as a figure: each shows the numbers that went in."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from rich.console import Console

from rnas.errors import RunError
from rnas.reports import LayerRow, layer_figure, layer_tables, layers_csv, read_layers
from rnas.reports.figures import save

MANIFEST = {"command": "rnas vulnerability a, b", "seed": 3, "git_commit": "abc", "hardware": {"cpu": "C", "cores": 2}}


def rows(values: dict[str, list[float]], metric: str = "kl", layer: str = "stages") -> list[LayerRow]:
    return [
        LayerRow(model, f"{layer}.{index}", 8 * 2**index, 16, 12, metric, value)
        for model, found in values.items()
        for index, value in enumerate(found)
    ]


def curves(figure: Figure) -> list[dict[str, list[float]]]:
    """Of each visible panel, the drawn values by model."""
    return [
        {str(line.get_label()): list(np.asarray(line.get_ydata(), dtype=float)) for line in axes.lines}
        for axes in figure.axes
        if axes.get_visible()
    ]


def test_the_file_gives_back_what_it_was_made_of(tmp_path: Path) -> None:
    given = rows({'a, "quoted"': [0.1, 1 / 3], "b": [1e-17, 0.0]})
    path = tmp_path / "vulnerability.csv"
    path.write_text(layers_csv(given, {"images": 7, "eps": "8/255"}, MANIFEST))
    assert read_layers(path) == given
    for line in path.read_text().splitlines()[1:]:
        assert line.endswith(',7,8/255,"rnas vulnerability a, b",3,abc,,"C, 2 cores",')
    path.write_text(path.read_text().replace("0.1", "much"))
    with pytest.raises(RunError, match=r"vulnerability.csv is missing or damaged: .*much"):
        read_layers(path)
    with pytest.raises(RunError, match=r"absent.csv is missing"):
        read_layers(tmp_path / "absent.csv")


def test_models_of_the_same_layers_share_a_panel_and_a_table() -> None:
    given = [
        *rows({"a": [0.1, 0.2], "b": [0.3, 0.5]}),
        *rows({"c": [1.0, 2.0, 6.0]}, layer="layers"),
        *rows({"a": [3.0, 4.0], "b": [5.0, 6.0]}, "other"),
        *rows({"c": [7.0, 8.0, 9.0]}, "other", layer="layers"),
    ]
    assert curves(layer_figure(given)) == [
        {"a": [0.1, 0.2], "b": [0.3, 0.5]},
        {"c": [1.0, 2.0, 6.0]},
        {"a": [3.0, 4.0], "b": [5.0, 6.0]},
        {"c": [7.0, 8.0, 9.0]},
    ]
    console = Console(width=80, file=io.StringIO())
    tables = layer_tables(given)
    assert len(tables) == 4
    with console.capture() as capture:
        for table in tables:
            console.print(table)
    lines = [[word for word in line.split() if word.isascii()] for line in capture.get().splitlines()]
    assert ["stages.1", "16", "x", "16", "x", "12", "0.2", "0.5"] in lines
    assert ["mean", "0.15", "0.4"] in lines
    assert ["mean", "3"] in lines


def test_the_axis_is_logarithmic_where_values_differ_much() -> None:
    near, far = layer_figure(rows({"a": [0.1, 9.0]})), layer_figure(rows({"a": [0.1, 0.0], "b": [11.0, 2.0]}))
    assert near.axes[0].get_yscale() == "linear"
    assert near.axes[0].get_ylim()[0] == 0
    assert far.axes[0].get_yscale() == "log"
    (drawn,) = curves(far)
    assert drawn["b"] == [11.0, 2.0]
    assert np.isnan(drawn["a"][1])


def test_figures_of_all_zeros_one_layer_and_strange_names(tmp_path: Path) -> None:
    given = [LayerRow("$x^2$ \u4e2d", "conv$", 1, 1, 1, "kl", 0.0)]
    save(layer_figure(given), tmp_path, "figure")
    assert (tmp_path / "figure.png").stat().st_size > 1000
    assert (tmp_path / "figure.svg").stat().st_size > 1000
    many = [row for index in range(5) for row in rows({f"m{index}": [1.0] * (index + 1)})]
    assert len(curves(layer_figure(many))) == 5
