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
from rnas.reports.figures.alpha import alpha_figure, none_mass, trajectories
from rnas.reports.figures.curves import binned, search_figure, training_figure, vulnerability_figure
from rnas.reports.figures.dots import accuracy_figure
from rnas.reports.figures.palette import KINDS, operation_colour, operation_kind
from rnas.run.attack_results import AttackResult
from rnas.run.contents import read_folder
from rnas.run.metrics import Metrics, read_metrics
from rnas.run.results import ModelResults
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
    (search,) = read_folder(run_folder).searches
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


def write_metrics(path: Path, records: list[dict[str, object]]) -> Metrics:
    path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    return read_metrics(path)


def test_a_high_f_of_the_warm_up_does_not_squash_the_rest(tmp_path: Path) -> None:
    records: list[dict[str, object]] = [
        {"kind": "theta", "step": 0, "phase": "warmup", "loss": 2.0},
        {"kind": "vulnerability", "step": 0, "F": 300.0, "H": None},
        {"kind": "vulnerability", "step": 9, "F": 1.2, "H": None},
        {"kind": "alpha_step", "step": 10, "loss": 1.0},
        {"kind": "projection", "step": 19, "before": 1.6, "after": 1.0, "bound": 1.0},
        {"kind": "vulnerability", "step": 19, "F": 1.0, "H": 1.0},
    ]
    figure = vulnerability_figure(write_metrics(tmp_path / "metrics.jsonl", records))
    assert figure is not None
    low, high = figure.axes[0].get_ylim()
    assert low == 0
    assert 1.6 < high < 3.2
    assert "300" in {text.get_text() for text in figure.axes[0].texts}
    # Nothing is cut off where there is only a warm-up, nor where it is as low as the search.
    for kept, top in ((records[:3], 300.0), ([records[0], *records[2:]], 1.6)):
        figure = vulnerability_figure(write_metrics(tmp_path / "metrics.jsonl", kept))
        assert figure is not None
        assert figure.axes[0].get_ylim()[1] > top
        assert not figure.axes[0].texts


def test_curves_under_attack_are_called_so(tmp_path: Path) -> None:
    metrics = write_metrics(
        tmp_path / "metrics.jsonl",
        [
            {"kind": "step", "step": 0, "loss": 2.0, "accuracy": 0.5},
            {"kind": "epoch", "step": 0, "validation_clean": 0.8, "validation_robust": 0.4},
        ],
    )
    for attacked, batches in ((True, "training batches, under attack"), (False, "training batches")):
        figure = training_figure(metrics, attacked=attacked)
        assert figure is not None
        assert [str(line.get_label()) for line in figure.axes[1].lines] == [
            *(batches, "validation, clean", "validation, under attack")
        ]


def test_attacks_that_eps_does_not_bound_have_an_axis_of_their_own() -> None:
    def result(name: str, accuracy: float, *, bounded: bool = True) -> AttackResult:
        return AttackResult(name, name, 100, accuracy, accuracy - 0.1, accuracy + 0.1, bounded=bounded)

    attacks = (
        result("clean", 0.9),
        result("fgsm", 0.5),
        result("cw", 0.2, bounded=False),
        result("worst_case", 0.4),
    )
    figure = accuracy_figure([ModelResults("a", attacks, radius="8/255")])
    within, beyond = figure.axes
    assert within.get_title(loc="left") == "within eps: 8/255"
    assert "not bounded by eps" in beyond.get_title(loc="left")
    rows = [[label.get_text().split("\n")[0] for label in axes.get_yticklabels()] for axes in figure.axes]
    assert rows == [["clean", "fgsm", "worst_case"], ["cw"]]
    shown = [along(line) for line in beyond.lines if len(along(line)) == 1]
    assert shown == [[20.0]]


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
