"""The curves show what was recorded, and nothing where nothing was."""

import io
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.lines import Line2D

from rnas.errors import RunError
from rnas.reports.alpha import alpha_figure, none_mass, trajectories
from rnas.reports.curves import binned, search_figure, training_figure, vulnerability_figure
from rnas.reports.documents import Metrics, read_metrics
from rnas.reports.dots import accuracy_figure
from rnas.reports.palette import KINDS, operation_colour, operation_kind
from rnas.reports.reading import read_folder
from rnas.reports.results import AttackResult, ModelResults
from rnas.spaces.darts import OPERATIONS


def along(line: Line2D) -> list[float]:
    return [float(value) for value in np.asarray(line.get_xdata())]


def heights(line: Line2D) -> list[float]:
    return [float(value) for value in np.asarray(line.get_ydata())]


@given(st.lists(st.floats(-1e6, 1e6), max_size=400), st.integers(1, 50))
def test_binning_keeps_mean_and_range(values: list[float], points: int) -> None:
    where, means, lows, highs, size = binned(list(range(len(values))), values, points)
    assert len(where) == len(means) <= points
    counts = np.array([min(size, len(values) - start) for start in range(0, len(values), size)])
    if values:
        assert np.average(means, weights=counts) == pytest.approx(np.mean(values), abs=1e-6)
        assert min(lows) == min(values)
        assert max(highs) == max(values)
        assert where == sorted(where)


def test_values_that_are_not_finite_are_left_out() -> None:
    assert binned([0, 1, 2], [1.0, float("nan"), float("inf")])[:2] == ([0], [1.0])


def test_alpha_panels_show_every_edge_and_the_cell_that_was_kept(run_folder: Path) -> None:
    search = read_folder(run_folder).search
    assert search is not None
    assert search.genotype is not None
    normal, reduce = trajectories(search.metrics, search.summary["operations"])
    assert (normal.kind, reduce.kind) == ("normal", "reduce")
    assert normal.edges == 14
    figure = alpha_figure(normal, search.genotype["normal"])
    assert len(figure.axes) == 14
    last = normal.probabilities[-1]
    for edge, axes in enumerate(figure.axes):
        ends = [heights(line)[-1] for line in axes.lines]
        assert ends == last[edge]
        assert [line.get_color() for line in axes.lines] == [operation_colour(name) for name in normal.operations]
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert titles[:3] == ["$c_{k-2}$ to 0", "$c_{k-1}$ to 0", "$c_{k-2}$ to 1"]
    assert titles[-1] == "2 to 3"
    kept = {title: axes.texts[0].get_text() for title, axes in zip(titles, figure.axes, strict=True) if axes.texts}
    assert len(kept) == 8
    assert kept["$c_{k-1}$ to 0"] == "skip_connect"
    assert kept["2 to 3"] == "dil_conv_3x3"
    mass = none_mass(normal)
    assert mass is not None
    assert mass[0] == pytest.approx(1 / 8)


@pytest.mark.parametrize("edges", [1, 6, 7, 14])
def test_alpha_of_other_spaces_is_drawn(edges: int, tmp_path: Path) -> None:
    record = {"kind": "alpha", "step": 0, "probabilities": {"cell": [[0.25] * 4] * edges}}
    path = tmp_path / "metrics.jsonl"
    path.write_text(json.dumps(record) + "\n", encoding="utf-8")
    (trajectory,) = trajectories(read_metrics(path))
    assert trajectory.operations == ("operation 0", "operation 1", "operation 2", "operation 3")
    assert none_mass(trajectory) is None
    assert len(alpha_figure(trajectory).axes) == edges


def test_vulnerability_shows_bound_projections_and_warmup(run_folder: Path) -> None:
    metrics = read_metrics(run_folder / "search" / "metrics.jsonl")
    figure = vulnerability_figure(metrics, trajectories(metrics))
    assert figure is not None
    upper, lower = figure.axes[:2]
    lines = {str(line.get_label()): line for line in upper.lines}
    steps, values = metrics.column("vulnerability", "F")
    assert along(lines["F, recorded"]) == steps
    assert heights(lines["F, recorded"]) == values
    bound = metrics.column("projection", "bound")[1][0]
    level = next(line for label, line in lines.items() if label.startswith("H = "))
    assert set(heights(level)) == {bound}
    assert min(along(level)) == 39  # known from the end of the warm-up
    assert heights(lines["projection: before"]) == metrics.column("projection", "before")[1]
    assert heights(lines["projection: after (lower)"]) == metrics.column("projection", "after")[1]
    assert "warm-up" in upper.get_legend_handles_labels()[1]
    assert "reduction cell" in lower.get_legend_handles_labels()[1]


def test_nothing_recorded_gives_no_figure() -> None:
    assert vulnerability_figure(Metrics()) is None
    assert search_figure(Metrics()) is None
    assert training_figure(Metrics()) is None
    assert trajectories(Metrics()) == ()


def test_a_diverged_search_is_drawn(tmp_path: Path) -> None:
    nan = float("nan")
    records = [
        {"kind": "theta", "step": 0, "loss": nan, "accuracy": 0.1},
        {"kind": "vulnerability", "step": 0, "F": nan, "H": None},
        {"kind": "alpha", "step": 0, "probabilities": {"normal": [[nan] * 8] * 14}},
    ]
    path = tmp_path / "metrics.jsonl"
    path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    metrics = read_metrics(path)
    (trajectory,) = trajectories(metrics)
    alpha_figure(trajectory).canvas.draw()
    for figure in (vulnerability_figure(metrics, [trajectory]), search_figure(metrics)):
        assert figure is not None
        figure.canvas.draw()


@pytest.mark.parametrize(
    "probabilities",
    [3, {"normal": 3}, {"normal": []}, {"normal": [[]]}, {"normal": [[0.5], [0.5, 0.5]]}, {"normal": [["a"]]}],
)
def test_damaged_alpha_is_named(probabilities: object, tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    good = {"kind": "theta", "step": 0, "loss": 1.0}
    bad = {"kind": "alpha", "step": 0, "probabilities": probabilities}
    path.write_text(f"{json.dumps(good)}\n{json.dumps(bad)}\n", encoding="utf-8")
    with pytest.raises(RunError, match=r"metrics\.jsonl, line 2.*probabilities"):
        trajectories(read_metrics(path))


def test_operations_keep_their_colours_apart() -> None:
    assert len({operation_colour(name) for name in OPERATIONS}) == len(OPERATIONS)
    assert {operation_kind(name) for name in OPERATIONS} == set(KINDS) - {"other"}
    assert operation_colour("made_up_conv") == operation_colour("made_up_conv")


@pytest.mark.parametrize("accuracy", [0.0, 1.0])
def test_markers_at_the_edges_are_drawn_whole(accuracy: float) -> None:
    figure = accuracy_figure([ModelResults("a", (AttackResult("fgsm", "FGSM", 10, accuracy, 0.0, 1.0),))])
    with_edges, hidden = io.BytesIO(), io.BytesIO()
    figure.savefig(with_edges, format="rgba")
    (axes,) = figure.axes
    assert axes.get_xlim() == (0, 100)
    (marker,) = [line for line in axes.lines if line.get_marker() == "o" and len(along(line))]
    marker.set_visible(False)
    figure.savefig(hidden, format="rgba")
    width, height = figure.canvas.get_width_height()
    pixels = [np.frombuffer(image.getvalue(), np.uint8).reshape(height, width, 4) for image in (with_edges, hidden)]
    columns = np.flatnonzero((pixels[0] != pixels[1]).any(axis=(0, 2)))
    edge = axes.transData.transform((100 * accuracy, 0))[0]
    assert columns[0] < edge - 3
    assert columns[-1] > edge + 3
