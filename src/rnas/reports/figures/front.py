"""The figures of a study: the front, the importance of settings, and all trials as lines across parallel axes."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING, Final

from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from rnas.reports.figures.palette import MODEL_COLOURS, MODEL_MARKERS
from rnas.reports.figures.style import INK, MUTED, drawable, style
from rnas.run.study_results import Objective, Standing, StudyResults, TrialResult
from rnas.terminal import shorten

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["front_figure", "importance_figure", "parallel_figure"]

#: Colour, marker and size of a trial by its standing.
LOOKS: Final = {
    Standing.FRONT: (MODEL_COLOURS[1], MODEL_MARKERS[0], 6.5),
    Standing.WITHIN: (MODEL_COLOURS[0], MODEL_MARKERS[1], 5.0),
    Standing.BEHIND: ("#9A9A9A", MODEL_MARKERS[4], 4.5),
}

LEGEND: Final = {
    Standing.FRONT: "front: no trial dominates it",
    Standing.WITHIN: "dominated, but within the intervals",
    Standing.BEHIND: "dominated beyond the intervals",
}

#: Panels of pairs of objectives, at most.
MOST_PANELS: Final = 6


def front_figure(results: StudyResults) -> Figure | None:
    """Draw each pair of objectives: a mark a trial with its intervals, a line through the front of two objectives.

    Returns:
        The figure; with one objective the trials by their number; None where no trial is finished.
    """
    if not results.finished:
        return None
    objectives = results.objectives
    pairs: list[tuple[Objective | None, Objective]] = []
    pairs += list(combinations(objectives, 2))[:MOST_PANELS] or [(None, objectives[0])]
    columns = min(len(pairs), 3)
    lines = -(-len(pairs) // columns)
    with style():
        size = ((6.4, 8.8, 9.6)[columns - 1], (3.7, 3.7, 3.1)[columns - 1] * lines + 0.5)
        figure = Figure(figsize=size, layout="constrained")
        panels = list(figure.subplots(lines, columns, squeeze=False).flat)
        for panel in panels[len(pairs) :]:
            panel.set_visible(False)
        for panel, (across, up) in zip(panels, pairs, strict=False):
            _draw_pair(panel, results, across, up)
        present = [one for one in Standing if any(trial.standing is one for trial in results.finished)]
        handles = [
            Line2D([], [], linestyle="none", marker=LOOKS[one][1], color=LOOKS[one][0], label=LEGEND[one])
            for one in present
        ]
        handles.append(
            Line2D([], [], linestyle="none", marker="o", color=INK, markersize=11, fillstyle="none", label="chosen")
        )
        figure.legend(handles=handles, loc="outside lower center", ncols=2)
    return figure


def _draw_pair(panel: Axes, results: StudyResults, across: Objective | None, up: Objective) -> None:
    """All trials by two objectives, or by their number and one."""
    for trial in reversed(results.finished):
        standing = trial.standing or Standing.BEHIND
        colour, marker, size = LOOKS[standing]
        x, y = _place(trial, across), _place(trial, up)
        z = 4 if standing is Standing.FRONT else 3
        panel.plot([x[1], x[2]], [y[0], y[0]], color=colour, linewidth=1.2, alpha=0.35, zorder=2)
        panel.plot([x[0], x[0]], [y[1], y[2]], color=colour, linewidth=1.2, alpha=0.35, zorder=2)
        panel.plot([x[0]], [y[0]], marker, color=colour, markersize=size, zorder=z)
        if standing is Standing.FRONT:
            panel.annotate(
                str(trial.number), (x[0], y[0]), xytext=(5, 4), textcoords="offset points", fontsize=7.5, color=INK
            )
        if trial.number == results.chosen:
            panel.plot([x[0]], [y[0]], "o", color=INK, markersize=11, fillstyle="none", zorder=5)
    if across is not None and len(results.objectives) == 2:
        front = sorted(
            (_place(trial, across)[0], _place(trial, up)[0])
            for trial in results.finished
            if trial.standing is Standing.FRONT
        )
        panel.plot(
            [x for x, _ in front], [y for _, y in front], color=LOOKS[Standing.FRONT][0], linewidth=1.0, zorder=1
        )
    panel.set_xlabel("trial" if across is None else _label(across))
    panel.set_ylabel(_label(up))
    panel.margins(0.08)


def _place(trial: TrialResult, objective: Objective | None) -> tuple[float, float, float]:
    """Value, lower and upper end on an axis; shares in percent."""
    if objective is None:
        return (trial.number, trial.number, trial.number)
    one, factor = trial.values[objective.name], 100 if objective.maximise else 1
    return (factor * one.value, factor * one.low, factor * one.high)


def _label(objective: Objective) -> str:
    return drawable(
        f"{objective.title}, % (higher is better)" if objective.maximise else f"{objective.title} (lower is better)"
    )


def importance_figure(results: StudyResults) -> Figure | None:
    """Draw the share of each setting in each objective; None where it is not known."""
    shares = results.importance
    if not shares:
        return None
    names = sorted(results.space, key=lambda key: -sum(one.get(key, 0.0) for one in shares.values()))
    known = [objective for objective in results.objectives if objective.name in shares]
    with style():
        pitch = 0.16 * len(known) + 0.14
        figure = Figure(figsize=(7.6, pitch * len(names) + 1.0), layout="constrained")
        axes = figure.subplots()
        for number, objective in enumerate(known):
            places = [row + (number - (len(known) - 1) / 2) * 0.8 / len(known) for row in range(len(names))]
            widths = [shares[objective.name].get(name, 0.0) for name in names]
            colour = MODEL_COLOURS[number % len(MODEL_COLOURS)]
            axes.barh(places, widths, 0.72 / len(known), color=colour, label=drawable(objective.title))
            for place, width in zip(places, widths, strict=True):
                axes.text(width + 0.01, place, f"{width:.2f}", va="center", fontsize=7.5, color=INK)
        axes.set_yticks(range(len(names)), [drawable(shorten(name, 44)) for name in names])
        axes.set_ylim(len(names) - 0.5, -0.5)
        axes.set_xlim(0, 1.08)
        axes.grid(visible=False, axis="y")
        axes.tick_params(axis="y", length=0, labelcolor=INK)
        axes.set_xlabel("share of the variance")
        figure.legend(loc="outside upper center", ncols=4)
    return figure


def parallel_figure(results: StudyResults) -> Figure | None:
    """Draw each finished trial as a line across the settings and the objectives; None where none is finished."""
    if not results.finished:
        return None
    axes_of = [*results.space, *(objective.name for objective in results.objectives)]
    order = sorted(results.finished, key=lambda trial: -list(Standing).index(trial.standing or Standing.BEHIND))
    with style():
        figure = Figure(figsize=(max(6.4, 1.45 * len(axes_of)), 4.0), layout="constrained")
        panel = figure.subplots()
        scaled = [_scale(results, key) for key in axes_of]
        for trial in order:
            standing = trial.standing or Standing.BEHIND
            colour = INK if trial.number == results.chosen else LOOKS[standing][0]
            wide = 2.4 if trial.number == results.chosen else 1.5 if standing is Standing.FRONT else 0.9
            alpha = 1.0 if standing is Standing.FRONT else 0.5
            heights = [heights[trial.number] for heights, _ in scaled]
            panel.plot(range(len(axes_of)), heights, color=colour, linewidth=wide, alpha=alpha)
        for place, (_, (bottom, top)) in enumerate(scaled):
            panel.axvline(place, color=MUTED, linewidth=0.8, zorder=0)
            panel.text(place, 1.03, drawable(top), ha="center", va="bottom", fontsize=7.5, color=INK)
            panel.text(place, -0.03, drawable(bottom), ha="center", va="top", fontsize=7.5, color=INK)
        panel.set_xticks(range(len(axes_of)), [_two_lines(key) for key in axes_of])
        panel.tick_params(axis="x", length=0, pad=14, labelcolor=INK, labelsize=7.5)
        panel.set_yticks([])
        panel.set_ylim(-0.02, 1.02)
        panel.grid(visible=False)
        panel.spines[["left", "bottom"]].set_visible(False)
        handles = [Line2D([], [], color=INK, linewidth=2.4, label="chosen")]
        handles += [Line2D([], [], color=LOOKS[one][0], label=LEGEND[one]) for one in Standing]
        figure.legend(handles=handles, loc="outside lower center", ncols=2)
    return figure


def _two_lines(key: str) -> str:
    """A setting's name, its last part below the others."""
    head, dot, last = key.rpartition(".")
    return drawable(f"{shorten(head, 22)}{dot}\n{shorten(last, 22)}" if dot else last.replace("_", "\n"))


def _scale(results: StudyResults, key: str) -> tuple[dict[int, float], tuple[str, str]]:
    """The height of each trial on an axis, in [0, 1], and what stands at its lower and its upper end.

    Up is better where the axis is an objective. Words of a setting have even places, in the order of their names.
    """
    objective = next((one for one in results.objectives if one.name == key), None)
    if objective is not None:
        values = {trial.number: trial.values[key].value * objective.sign for trial in results.finished}
        low, high = min(values.values()), max(values.values())
        ends = (objective.words(low * objective.sign), objective.words(high * objective.sign))
        return {number: _between(value, low, high) for number, value in values.items()}, ends
    came = {trial.number: trial.settings[key] for trial in results.finished}
    numbers = {number: _number(value) for number, value in came.items()}
    if all(value is not None for value in numbers.values()):
        known = {number: float(value or 0.0) for number, value in numbers.items()}
        low, high = min(known.values()), max(known.values())
        bottom, top = (str(next(came[n] for n, value in known.items() if value == one)) for one in (low, high))
        return {number: _between(value, low, high) for number, value in known.items()}, (bottom, top)
    words = sorted({str(value) for value in came.values()})
    heights = {word: _between(place, 0, len(words) - 1) for place, word in enumerate(words)}
    return {number: heights[str(value)] for number, value in came.items()}, (words[0], words[-1])


def _number(value: object) -> float | None:
    """A setting as a number, without its unit; None if it is none."""
    if isinstance(value, bool) or value is None:
        return None
    text = str(value).removesuffix("%").partition("/")[0]
    try:
        return float(text)
    except ValueError:
        return None


def _between(value: float, low: float, high: float) -> float:
    return (value - low) / (high - low) if high > low else 0.5
