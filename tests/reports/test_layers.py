"""The vulnerability by layer as a file, as tables and as a figure: each shows the numbers that went in."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from rich.console import Console

from rnas.errors import RunError
from rnas.reports import LayerRow, layer_figure, layer_tables, layers_csv, read_layers
from rnas.reports.figures.style import save
from rnas.reports.trained import measurement
from rnas.run.contents import Part
from rnas.vulnerability.metrics import METRICS, channel_vulnerability

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
    formula = rows({"=1+1": [0.1], "-x": [0.2], "'@y": [0.3]})
    path.write_text(layers_csv(formula, {"images": 7}, MANIFEST))
    assert [line.split(",")[0] for line in path.read_text().splitlines()] == ["model", "'=1+1", "'-x", "''@y"]
    assert read_layers(path) == formula
    path.write_text(path.read_text().replace("0.1", "much"))
    with pytest.raises(RunError, match=r"vulnerability.csv is missing or damaged: .*much"):
        read_layers(path)
    with pytest.raises(RunError, match=r"absent.csv is missing"):
        read_layers(tmp_path / "absent.csv")


def test_all_models_share_an_axis_and_those_of_the_same_layers_a_table() -> None:
    given = [
        *rows({"a": [0.1, 0.2], "b": [0.3, 0.5]}),
        *rows({"c": [1.0, 2.0, 6.0]}, layer="layers"),
        *rows({"a": [3.0, 4.0], "b": [5.0, 6.0]}, "other"),
        *rows({"c": [7.0, 8.0, 9.0]}, "other", layer="layers"),
    ]
    figure = layer_figure(given)
    layers = {"a": "2 layers, stages.0 to stages.1", "b": "2 layers, stages.0 to stages.1"}
    layers["c"] = "3 layers, layers.0 to layers.2"
    assert curves(figure) == [
        {f"{model}: {layers[model]}": values for model, values in found.items()}
        for found in (
            {"a": [0.1, 0.2], "b": [0.3, 0.5], "c": [1.0, 2.0, 6.0]},
            {"a": [3.0, 4.0], "b": [5.0, 6.0], "c": [7.0, 8.0, 9.0]},
        )
    ]
    # Each from its first to its last layer.
    assert [list(np.asarray(line.get_xdata(), dtype=float)) for line in figure.axes[0].lines] == [
        *([0.0, 1.0], [0.0, 1.0], [0.0, 0.5, 1.0])
    ]
    same = layer_figure(given[:4])
    assert curves(same) == [{"a": [0.1, 0.2], "b": [0.3, 0.5]}]
    assert [list(np.asarray(line.get_xdata(), dtype=float)) for line in same.axes[0].lines] == [[1.0, 2.0]] * 2
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


def test_no_name_moves_the_terminals_cursor() -> None:
    console = Console(width=80, file=io.StringIO())
    with console.capture() as capture:
        console.print(*layer_tables([LayerRow("a\x1b[31m", "conv\x1b[2J", 4, 2, 2, "kl\x1b[0m", 0.1)]))
    assert "\x1b" not in capture.get()
    assert "conv\\x1b[2J" in capture.get()


def test_the_axis_is_logarithmic_and_has_numbers() -> None:
    for near in ([0.11, 0.19], [0.1, 9.0], [2e-6, 3e-2]):
        figure = layer_figure(rows({"a": near}))
        (axes,) = figure.axes
        assert axes.get_yscale() == "log"
        figure.draw_without_rendering()
        low, high = axes.get_ylim()
        ticks = zip(axes.get_yticks(), axes.get_yticklabels(), strict=True)
        small = zip(axes.get_yticks(minor=True), axes.get_yticklabels(minor=True), strict=True)
        assert any(low <= place <= high and label.get_text() for place, label in (*ticks, *small))
    # It has no place for zeros.
    figure = layer_figure(rows({"a": [0.1, 0.0], "b": [11.0, 2.0]}))
    assert "0 has no place" in figure.get_supxlabel()
    (drawn,) = curves(figure)
    assert drawn["b"] == [11.0, 2.0]
    assert np.isnan(drawn["a"][1])
    assert layer_figure(rows({"a": [0.0, 0.0]})).axes[0].get_yscale() == "linear"


def test_maps_of_one_position_have_no_value_where_positions_are_compared() -> None:
    def shown(metric: str) -> tuple[str, str, float]:
        given = [
            LayerRow("a", f"stages.{index}", 4, side, side, metric, value)
            for index, (side, value) in enumerate([(4, 0.1), (2, 0.3), (1, 0.0)])
        ]
        console = Console(width=80, file=io.StringIO())
        with console.capture() as capture:
            console.print(*layer_tables(given))
        figure = layer_figure(given)
        (drawn,) = curves(figure)
        return capture.get(), figure.get_supxlabel(), drawn["a"][1]

    table, caption, second = shown("kl_per_position")
    assert ["mean", "0.2"] in [[word for word in line.split() if word.isascii()] for line in table.splitlines()]
    assert "no distribution" in table
    assert "no distribution" in caption
    assert second == 0.3
    table, caption, _ = shown("relative_deviation")
    assert ["mean", "0.133"] in [[word for word in line.split() if word.isascii()] for line in table.splitlines()]
    assert "no distribution" not in table + caption


@pytest.mark.parametrize("metric", list(METRICS))
def test_a_metric_has_no_value_on_maps_of_one_position_where_it_does_not_measure_the_change(metric: str) -> None:
    """Either 0 whatever happened, or a quotient by a variance that is not there."""
    generator = torch.Generator().manual_seed(0)
    clean = torch.rand(16, 3, 1, 1, generator=generator) + 1
    value = float(channel_vulnerability(clean, clean + 0.1, metric=metric).mean())
    assert LayerRow("a", "stages.0", 3, 1, 1, metric, value).defined == (1e-6 < value < 1e6)


def test_figures_of_all_zeros_one_layer_and_strange_names(tmp_path: Path) -> None:
    given = [LayerRow("$x^2$ \u4e2d", "conv$", 1, 1, 1, "kl", 0.0)]
    save(layer_figure(given), tmp_path, "figure")
    assert (tmp_path / "figure.png").stat().st_size > 1000
    assert (tmp_path / "figure.svg").stat().st_size > 1000
    many = [row for index in range(5) for row in rows({f"m{index}": [1.0] * (index + 1)})]
    (drawn,) = curves(layer_figure(many))
    assert len(drawn) == 5


@pytest.mark.parametrize(
    ("metric", "on"), [("gaussian_kl", "adversarial"), ("relative_deviation", "clean"), ("signal_relative", "clean")]
)
def test_a_constant_channel_is_told(metric: str, on: str, tmp_path: Path) -> None:
    generator = torch.Generator().manual_seed(0)
    clean = torch.randn(4, 8, 4, 4, generator=generator)
    adversarial = clean + torch.randn(4, 8, 4, 4, generator=generator)
    given: list[LayerRow] = []
    for model in ("live", "dead"):
        if model == "dead":
            (clean if on == "clean" else adversarial)[:, 3] = 0.0
        value = float(channel_vulnerability(clean, adversarial, metric=metric).mean())
        given.append(LayerRow(model, "stages.0", 8, 4, 4, metric, value))
    assert [row.constant for row in given] == [False, True]
    console = Console(width=100)
    with console.capture() as capture:
        console.print(*layer_tables(given))
    words = "a channel is constant on clean or on adversarial images, and F divides by how much it varies"
    assert f"!: {words}" in " ".join(capture.get().split())

    (tmp_path / "vulnerability.csv").write_text(layers_csv(given, {}, MANIFEST), encoding="utf-8")
    found = measurement(Part("vulnerability", "vulnerability", tmp_path))
    assert found.words[1:] == (f"{metric}: the F of dead says nothing of its other channels: in stages.0 {words}.",)
