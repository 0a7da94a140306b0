"""The figures of the studies show each number at its place."""

from __future__ import annotations

import csv
import io

import numpy as np
import pytest
from matplotlib.axes import Axes
from rich.console import Console

from rnas.reports import LayerRow, StudyRow, layers_figure, study_csv, study_table, sweep_figure, table_figure


def row(label: str, measure: str, paper: float | None, ours: float | None, data: str = "cifar10") -> StudyRow:
    bounds = (None, None) if ours is None else (ours - 5, ours + 5)
    return StudyRow(label, label, "adversarial", data, measure, paper, ours, *bounds)


def points(panel: object, marker: str) -> list[tuple[float, float]]:
    """Places of the markers, the line of the table as a whole number."""
    lines = [line for line in panel.get_lines() if line.get_marker() == marker and len(line.get_xdata())]  # type: ignore[attr-defined]
    return [(float(line.get_xdata()[0]), round(float(line.get_ydata()[0]))) for line in lines]


def numbers(panel: Axes, line: int) -> list[str]:
    """What is written on a line of the table, from left to right."""
    written = [text for text in panel.texts if round(text.get_position()[1]) == line]
    return [text.get_text() for text in sorted(written, key=lambda text: text.get_position()[0])]


def test_a_table_has_a_line_a_network_and_a_panel_an_attack() -> None:
    rows = [row("A", "clean", 80, 70), row("A", "pgd20", 50, None), row("B", "clean", 60, 65), row("B", "cw", 1, 2)]
    figure = table_figure([*rows, row("A", "parameters_millions", 3, 3)], "Table", "a note")
    assert [panel.get_title(loc="left") for panel in figure.axes] == ["clean", "PGD-20", "C&W"]
    clean, pgd, _ = figure.axes
    assert points(clean, "D") == [(80, 0), (60, 1)]
    assert points(clean, "o") == [(70, 0), (65, 1)]
    assert points(pgd, "D") == [(50, 0)]
    assert points(pgd, "o") == []
    assert numbers(clean, 0) == ["70.0", "80.00", "-10.0"]
    assert numbers(clean, 1) == ["65.0", "60.00", "+5.0"]
    assert numbers(pgd, 0) == ["-", "50.00", "-"]
    assert [label.get_text() for label in clean.get_yticklabels()] == ["A\n3.000 / 3.0 M", "B"]
    assert "a note" in figure.get_suptitle()


def test_a_network_without_a_number_is_no_empty_row() -> None:
    rows = [row("A", "clean", None, None), row("B", "clean", 60, None), row("C", "clean", None, 65)]
    (panel,) = table_figure([*rows, row("A", "parameters_millions", None, 3)], "Table", "a note").axes
    assert [label.get_text() for label in panel.get_yticklabels()] == ["B", "C"]
    assert points(panel, "o") == [(65, 1)]


def test_a_table_of_the_papers_size_overlaps_nothing_and_fits_a_page() -> None:
    measures = ("clean", "fgsm", "pgd20", "cw", "autoattack")
    rows = [row(f"network {index}", name, 80, 100) for index in range(18) for name in measures]
    figure = table_figure(rows, "Table", "a note")
    assert figure.get_figwidth() < 9
    figure.draw_without_rendering()
    for panel in figure.axes:
        boxes = [text.get_window_extent() for text in panel.texts]
        assert not any(one.overlaps(other) for index, one in enumerate(boxes) for other in boxes[:index])


def test_the_terminal_has_ours_the_papers_and_the_difference_also_in_80_columns() -> None:
    measures = ("parameters_millions", "clean", "fgsm", "pgd20", "cw", "autoattack")
    rows = [row("ShuffleNetv2", name, 52.88, 50.5) for name in measures]
    rows += [row("DSRNA", "clean", 83.84, None), row("H = 90%", "clean", None, 62.5)]
    table = study_table({(row.label, row.measure): row for row in rows}, "Table 1", "a note")
    for width, joint in ((80, "50.5/52.88"), (160, "50.5/52.88 (-2.4)")):
        console = Console(width=width, file=io.StringIO())
        with console.capture() as capture:
            console.print(table)
        text = capture.get()
        assert text.count(joint) == 5
        assert text.count("(-2.4)") == 5
        assert "50.500/52.9" in text
        lines = [line.split() for line in text.splitlines()]
        assert ["DSRNA", "-", "-/83.84", "-", "-", "-", "-"] in lines
        assert ["H", "=", "90%", "-", "62.5", "-", "-", "-", "-"] in lines
        assert "a note" in text


def test_a_sweep_goes_from_loose_to_tight_and_names_every_line() -> None:
    rows = [
        row(f"H = {bound}", measure, None, ours, data)
        for data, shift in (("cifar10", 0), ("svhn", 10))
        for bound, ours in (("2e-4", 40.0 + shift), ("1e-4", 50.0 + shift))
        for measure in ("clean", "pgd20")
    ]
    printed = {("RNAS-L", "cifar10"): 52.88, ("RNAS-H", "cifar10"): 53.72, ("RNAS-L", "svhn"): 53.82}
    references = [
        row(label, measure, number, None, data)
        for (label, data), number in printed.items()
        for measure in ("clean", "pgd20")
    ]
    figure = sweep_figure(rows, references, "Figure 3", "")
    clean, robust = figure.axes
    lines = {line.get_label(): np.asarray(line.get_ydata()).tolist() for line in robust.get_lines()}
    assert lines == {
        "cifar10, ours": [40, 50],
        "svhn, ours": [50, 60],
        **{
            f"{data}, paper's {label}: {number:.2f} / {number:.2f}": [number] * 2
            for (label, data), number in printed.items()
        },
    }
    # Two networks on one data set, and one network on two, are told apart.
    assert len({(line.get_color(), line.get_linestyle()) for line in robust.get_lines()}) == len(lines)
    assert [label.get_text() for label in clean.get_xticklabels()] == ["2e-4", "1e-4"]
    assert {text.get_text() for text in figure.legends[0].get_texts()} == set(lines)


def layers(factor: float, *, positions: int = 4, metric: str = "kl") -> list[LayerRow]:
    """Three layers, the last of them with maps of so many positions."""
    return [
        LayerRow("m", f"layers.{index}", 2, 1, 4 if index < 2 else positions, metric, factor * (index + 1))
        for index in range(3)
    ]


def test_layers_have_a_panel_for_each_network_and_data_set() -> None:
    panels: dict[tuple[str, str], dict[str, list[LayerRow]]] = {
        ("vgg16", "cifar10"): {"standard": layers(2.0), "adversarial": layers(1.0)},
        ("vgg16", "cifar100"): {"standard": [], "adversarial": []},
        ("resnet18", "cifar10"): {"standard": [], "adversarial": layers(3.0)},
    }
    figure = layers_figure(panels, "Figure 1", "")
    first, second, third, unused = figure.axes
    assert first.get_title(loc="left") == "vgg16, cifar10"
    assert {line.get_label(): np.asarray(line.get_ydata()).tolist() for line in first.get_lines()} == {
        "standard training": [2, 4, 6],
        "adversarial training": [1, 2, 3],
    }
    assert "standard / adversarial: 2 to 2, above 1 in 3 of 3 layers" in first.get_xlabel()
    assert second.get_lines() == []
    assert {panel.get_yscale() for panel in (first, third)} == {"log"}
    # A training has its colour also where the other is not measured.
    assert len({panel.get_lines()[1].get_color() for panel in (first, third)}) == 1
    assert not unused.get_visible()
    # One legend, and beside the curves.
    assert [panel.get_legend() for panel in figure.axes] == [None] * 4
    assert len(figure.legends[0].get_texts()) == 2


def test_layers_without_a_distribution_are_left_out_and_told() -> None:
    panels = {("vgg16", "cifar10"): {"standard": layers(2.0, positions=1), "adversarial": layers(1.0, positions=1)}}
    figure = layers_figure(panels, "Figure 1", "a note")
    panel = figure.axes[0]
    assert all(np.isnan(np.asarray(line.get_ydata())[2]) for line in panel.get_lines())
    assert "above 1 in 2 of 2 layers" in panel.get_xlabel()
    assert panel.get_xlim()[1] > 3
    assert "one position" in " ".join(figure.get_suptitle().split())
    others = {
        ("vgg16", "cifar10"): {"standard": layers(2.0, positions=1, metric="relative_deviation"), "adversarial": []}
    }
    whole = layers_figure(others, "Figure 1", "a note")
    assert np.asarray(whole.axes[0].get_lines()[0].get_ydata()).tolist() == [2, 4, 6]
    assert "one position" not in whole.get_suptitle()


def test_the_csv_file_has_differences_and_leaves_open_what_is_unknown() -> None:
    rows = [row("A", "clean", 80, 70.25), row("A", "pgd20", 50, None), row("H", "clean", None, 30)]
    lines = list(csv.DictReader(study_csv(rows, "table1", "smoke", {"cifar10": "digits"}).splitlines()))
    assert [line["difference"] for line in lines] == ["-9.75", "", ""]
    assert [line["ours"] for line in lines] == ["70.25", "", "30"]
    assert {line["images_of"] for line in lines} == {"digits"}
    assert rows[0].difference == pytest.approx(-9.75)
