"""The figures of the studies show each number at its place."""

from __future__ import annotations

import csv

import numpy as np
import pytest

from rnas.reports import LayerRow, StudyRow, layers_figure, study_csv, sweep_figure, table_figure


def row(label: str, measure: str, paper: float | None, ours: float | None, data: str = "cifar10") -> StudyRow:
    bounds = (None, None) if ours is None else (ours - 5, ours + 5)
    return StudyRow(label, label, "adversarial", data, measure, paper, ours, *bounds)


def points(panel: object, marker: str) -> list[tuple[float, float]]:
    lines = [line for line in panel.get_lines() if line.get_marker() == marker and len(line.get_xdata())]  # type: ignore[attr-defined]
    return [(float(line.get_xdata()[0]), float(line.get_ydata()[0])) for line in lines]


def test_a_table_has_a_line_a_network_and_a_panel_an_attack() -> None:
    rows = [row("A", "clean", 80, 70), row("A", "pgd20", 50, None), row("B", "clean", 60, 65), row("B", "cw", 1, 2)]
    figure = table_figure([*rows, row("A", "parameters_millions", 3, 3)], "Table", "a note")
    assert [panel.get_title(loc="left") for panel in figure.axes] == ["clean", "PGD-20", "C&W"]
    clean, pgd, _ = figure.axes
    assert points(clean, "D") == [(80, 0), (60, 1)]
    assert points(clean, "o") == [(70, 0), (65, 1)]
    assert points(pgd, "D") == [(50, 0)]
    assert points(pgd, "o") == []
    assert [label.get_text() for label in clean.get_yticklabels()] == ["A", "B"]
    assert "a note" in figure.get_suptitle()


def test_a_sweep_goes_from_loose_to_tight() -> None:
    rows = [
        row(f"H = {bound}", measure, None, ours, data)
        for data, shift in (("cifar10", 0), ("svhn", 10))
        for bound, ours in (("2e-4", 40.0 + shift), ("1e-4", 50.0 + shift))
        for measure in ("clean", "pgd20")
    ]
    figure = sweep_figure(rows, [row("RNAS-L", "pgd20", 52.88, None)], "Figure 3", "")
    clean, robust = figure.axes
    lines = {line.get_label(): np.asarray(line.get_ydata()).tolist() for line in robust.get_lines()}
    assert lines["cifar10, ours"] == [40, 50]
    assert lines["svhn, ours"] == [50, 60]
    assert [label.get_text() for label in clean.get_xticklabels()] == ["2e-4", "1e-4"]
    heights = [np.asarray(line.get_ydata()).tolist() for line in robust.get_lines() if line.get_linestyle() == ":"]
    assert [52.88, 52.88] in heights


def test_layers_have_a_panel_for_each_network_and_data_set() -> None:
    def layers(factor: float) -> list[LayerRow]:
        return [LayerRow("m", f"layers.{index}", 2, 4, 4, "kl", factor * (index + 1)) for index in range(3)]

    panels = {("vgg16", "cifar10"): {"standard": layers(2.0), "adversarial": layers(1.0)}, ("vgg16", "cifar100"): {}}
    figure = layers_figure(panels, "Figure 1", "")
    first, second = figure.axes
    assert first.get_title(loc="left") == "vgg16, cifar10"
    assert {line.get_label(): np.asarray(line.get_ydata()).tolist() for line in first.get_lines()} == {
        "standard training": [2, 4, 6],
        "adversarial training": [1, 2, 3],
    }
    assert second.get_lines() == []


def test_the_csv_file_has_differences_and_leaves_open_what_is_unknown() -> None:
    rows = [row("A", "clean", 80, 70.25), row("A", "pgd20", 50, None), row("H", "clean", None, 30)]
    lines = list(csv.DictReader(study_csv(rows, "table1", "smoke", {"cifar10": "digits"}).splitlines()))
    assert [line["difference"] for line in lines] == ["-9.75", "", ""]
    assert [line["ours"] for line in lines] == ["70.25", "", "30"]
    assert {line["images_of"] for line in lines} == {"digits"}
    assert rows[0].difference == pytest.approx(-9.75)
