"""The curves of a run: vulnerability against its bound, the mass on `none`, losses and accuracies."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

from matplotlib.figure import Figure

from rnas.reports.figures.alpha import none_mass
from rnas.reports.figures.style import MUTED, cell_name, drawable, step_axis, style

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from matplotlib.axes import Axes

    from rnas.reports.figures.alpha import Trajectory
    from rnas.run.metrics import Metrics

__all__ = ["binned", "search_figure", "training_figure", "vulnerability_figure"]

_BLUE: Final = "#0072B2"
_RED: Final = "#D55E00"
_GREEN: Final = "#009E73"
_PURPLE: Final = "#882E72"
_POINTS: Final = 120


def vulnerability_figure(metrics: Metrics, trajectories: Sequence[Trajectory] = ()) -> Figure | None:
    """Draw F over time against H, with the projections, and below it the mass on `none`.

    Args:
        metrics: a search's metrics.
        trajectories: alpha over time, for the mass on `none` between the projections.

    Returns:
        The figure, or None if F was never measured.

    Raises:
        RunError: if a record holds something that is not a number.
    """
    steps, values = metrics.column("vulnerability", "F")
    projections = [
        (step, before, after)
        for record in metrics.of("projection")
        if (before := record.number("before")) is not None and (after := record.number("after")) is not None
        for step in [float(record.values["step"])]
    ]
    if not steps and not projections:
        return None
    masses = _masses(metrics)
    lower = bool(masses or trajectories)
    with style():
        figure = Figure(figsize=(9.0, 5.2 if lower else 3.4), layout="constrained")
        heights = [2, 1] if lower else [1]
        panels = figure.subplots(len(heights), 1, sharex=True, squeeze=False, height_ratios=heights)
        axes = panels[0, 0]
        if steps:
            marker = "." if len(steps) <= 60 else ""
            axes.plot(steps, values, color=_BLUE, marker=marker, markersize=4, label="F, recorded")
        _bound(axes, metrics, max([*steps, *(step for step, _, _ in projections)]))
        _moves(axes, projections, "projection: before", "projection: after", _PURPLE)
        axes.set_ylabel("vulnerability F")
        axes.margins(y=0.08)
        axes.set_ylim(bottom=0)
        _fit(axes, metrics, list(zip(steps, values, strict=True)))
        axes.set_title("F against its bound H")
        if lower:
            _none_panel(panels[1, 0], trajectories, masses)
        for panel in panels[:, 0]:
            _warmup(panel, metrics, named=panel is axes)
        step_axis(panels[-1, 0])
        axes.legend(loc="upper left", bbox_to_anchor=(1.09, 1.0))
    return figure


def search_figure(metrics: Metrics) -> Figure | None:
    """Draw a search's losses and accuracies, or return None if there are none.

    Raises:
        RunError: if a record holds something that is not a number.
    """
    lines = (
        ("theta", "weights, under attack", _BLUE, {"loss": "loss", "accuracy": "accuracy"}),
        ("alpha_step", "alpha, under attack", _RED, {"loss": "adversarial_loss", "accuracy": "accuracy"}),
        ("alpha_step", "alpha, clean", _GREEN, {"loss": "clean_loss"}),
    )
    losses, accuracies = (
        [(label, colour, *metrics.column(kind, keys[what])) for kind, label, colour, keys in lines if what in keys]
        for what in ("loss", "accuracy")
    )
    figure = _pair(losses, accuracies)
    if figure is not None:
        for axes in figure.axes:
            _warmup(axes, metrics, named=False)
    return figure


def training_figure(metrics: Metrics, title: str = "", *, attacked: bool = False) -> Figure | None:
    """Draw a training's loss and accuracies, or return None if there are none.

    Args:
        metrics: a model's metrics.
        title: the model's name.
        attacked: whether the training attacks its images, so that its accuracy is that of adversarial ones.

    Raises:
        RunError: if a record holds something that is not a number.
    """
    batches = "training batches, under attack" if attacked else "training batches"
    accuracies = [
        (batches, _BLUE, *metrics.column("step", "accuracy")),
        ("validation, clean", _GREEN, *metrics.column("epoch", "validation_clean")),
        ("validation, under attack", _RED, *metrics.column("epoch", "validation_robust")),
    ]
    figure = _pair([(batches, _BLUE, *metrics.column("step", "loss"))], accuracies)
    if figure is not None and title:
        with style():
            figure.suptitle(drawable(title), x=0.01, ha="left", fontsize=10.5, fontweight="bold")
    return figure


def binned(
    steps: Sequence[float], values: Sequence[float], points: int = _POINTS
) -> tuple[list[float], list[float], list[float], list[float], int]:
    """Shorten a series to a number of points that can be seen: means of consecutive values, and their range.

    Args:
        steps: where the values were recorded.
        values: the values; those that are not finite are left out.
        points: how many points to keep at most.

    Returns:
        Mean steps, means, smallest and largest values, and how many values make a point (the last may have fewer).
    """
    pairs = [(step, value) for step, value in zip(steps, values, strict=True) if math.isfinite(value)]
    size = max(1, -(-len(pairs) // points))
    groups = [pairs[start : start + size] for start in range(0, len(pairs), size)]
    return (
        [sum(step for step, _ in group) / len(group) for group in groups],
        [sum(value for _, value in group) / len(group) for group in groups],
        [min(value for _, value in group) for group in groups],
        [max(value for _, value in group) for group in groups],
        size,
    )


_Series = tuple[str, str, list[float], list[float]]


def _pair(losses: Sequence[_Series], accuracies: Sequence[_Series]) -> Figure | None:
    """Losses on the left, accuracies in percent on the right; None if there is neither."""
    accuracies = [(label, colour, steps, [100 * v for v in values]) for label, colour, steps, values in accuracies]
    if not any(series[2] for series in (*losses, *accuracies)):
        return None
    with style():
        figure = Figure(figsize=(9.0, 3.0), layout="constrained")
        panels = figure.subplots(1, 2)
        for axes, lines, title in zip(panels, (losses, accuracies), ("Loss", "Accuracy, %"), strict=True):
            sizes = [_line(axes, *series) for series in lines if series[2]]
            axes.set_title(title)
            step_axis(axes, _step_label(max(sizes, default=1)))
            if sizes:
                # Below the axes, so that it covers no line.
                axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=3, columnspacing=1.2)
            else:
                axes.text(0.5, 0.5, "not recorded", transform=axes.transAxes, ha="center", color=MUTED)
        panels[0].set_ylim(bottom=0)
        panels[1].set_ylim(0, 100)
    return figure


def _line(axes: Axes, label: str, colour: str, steps: list[float], values: list[float]) -> int:
    where, means, lows, highs, size = binned(steps, values)
    if size > 1:
        axes.fill_between(where, lows, highs, color=colour, alpha=0.16, linewidth=0)
    axes.plot(where, means, color=colour, label=label, marker="." if len(means) <= 30 else "", markersize=5)
    return size


def _step_label(size: int) -> str:
    return "step" if size == 1 else f"step (line: mean of up to {size} records; band: their range)"


def _bound(axes: Axes, metrics: Metrics, end: float) -> None:
    """H from the step at which it is known, and F/H on the right if H never changes."""
    steps, bounds = metrics.column("vulnerability", "H")
    more = metrics.column("projection", "bound")
    known = sorted(zip([*steps, *more[0]], [*bounds, *more[1]], strict=True))
    if not known:
        return
    axes.step(
        [*(step for step, _ in known), end],
        [*(bound for _, bound in known), known[-1][1]],
        where="post",
        color=_RED,
        linestyle="--",
        linewidth=1.4,
        label=f"H = {known[-1][1]:.3g}",
    )
    bound = known[-1][1]
    if bound > 0 and all(math.isclose(other, bound, rel_tol=1e-9) for _, other in known):
        right = axes.secondary_yaxis("right", functions=_scaling(bound))
        right.set_ylabel("F / H")
        right.spines["right"].set_visible(True)


def _fit(axes: Axes, metrics: Metrics, recorded: Sequence[tuple[float, float]]) -> None:
    """End the axis of F where the search and its bound need it; points of the warm-up that lie above are told.

    The weights of a supernet that has hardly trained are so vulnerable that all that follows would be a flat line.
    """
    begun = metrics.column("alpha_step", "loss")[0]
    if not begun:
        return
    needed = [value for step, value in recorded if step >= begun[0]]
    for kind, keys in (("projection", ("before", "after", "bound")), ("vulnerability", ("H",))):
        needed += [value for key in keys for value in metrics.column(kind, key)[1]]
    needed = [value for value in needed if math.isfinite(value)]
    warm = [point for point in recorded if point[0] < begun[0] and math.isfinite(point[1])]
    if not needed or not warm:
        return
    needed.append(min(value for _, value in warm))  # so that the curve comes in from the warm-up
    top = 1.15 * max(needed)
    if top <= 0 or max(value for _, value in warm) <= 1.5 * top:
        return
    axes.set_ylim(0, top)
    for step, value in warm:
        if value > top:
            axes.annotate(
                f"{value:.3g}",
                (step, top),
                xytext=(0, -12),
                textcoords="offset points",
                fontsize=7.5,
                color=_BLUE,
                ha="left",
            )
            axes.plot([step], [top], "^", color=_BLUE, markersize=6, clip_on=False, zorder=4)


def _scaling(bound: float) -> tuple[Callable[[Any], Any], Callable[[Any], Any]]:
    """From F to F/H and back, on matplotlib's arrays."""
    return (lambda value: value / bound, lambda ratio: ratio * bound)


def _moves(axes: Axes, moves: list[tuple[float, float, float]], before: str, after: str, colour: str) -> None:
    """An arrow from before to after each projection, hollow where it began and full where it ended."""
    if not moves:
        return
    steps = [step for step, _, _ in moves]
    axes.vlines(steps, [m[1] for m in moves], [m[2] for m in moves], color=colour, linewidth=1.0, alpha=0.7)
    axes.plot(steps, [m[1] for m in moves], "o", color=colour, markersize=4.5, fillstyle="none", label=before, zorder=3)
    # The full marker is the arrow's head: it points the way that the value went.
    for marker, chosen in (("v", [m for m in moves if m[2] <= m[1]]), ("^", [m for m in moves if m[2] > m[1]])):
        label = f"{after} ({'lower' if marker == 'v' else 'higher'})"
        if chosen:
            where, ends = [m[0] for m in chosen], [m[2] for m in chosen]
            axes.plot(where, ends, marker, color=colour, markersize=5, label=label, zorder=3)


def _masses(metrics: Metrics) -> list[tuple[float, float, float]]:
    pairs = ((record, record.number("none_before"), record.number("none_after")) for record in metrics.of("projection"))
    return [(float(r.values["step"]), one, two) for r, one, two in pairs if one is not None and two is not None]


def _none_panel(axes: Axes, trajectories: Sequence[Trajectory], masses: list[tuple[float, float, float]]) -> None:
    for trajectory, dash in zip(trajectories, ("-", "--", ":", "-.") * len(trajectories), strict=False):
        mass = none_mass(trajectory)
        if mass is not None:
            axes.plot(trajectory.steps, mass, color=MUTED, linestyle=dash, label=cell_name(trajectory.kind))
    _moves(axes, masses, "projection: before", "projection: after", _PURPLE)
    axes.set_title("Probability of the operation none, mean over edges")
    axes.set_ylabel("mass on none")
    axes.margins(y=0.12)
    axes.set_ylim(bottom=0)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(loc="upper left", bbox_to_anchor=(1.09, 1.0))


def _warmup(axes: Axes, metrics: Metrics, *, named: bool) -> None:
    """Shade the steps of the warm-up."""
    steps = [r.values["step"] for r in metrics.of("theta") if r.values.get("phase") == "warmup"]
    if steps:
        axes.axvspan(min(steps), max(steps), color="#EDEFF2", linewidth=0, zorder=0, label="warm-up" if named else None)
