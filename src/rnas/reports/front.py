"""A study's trials as rows for a CSV file, as a table for the terminal, and in words."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from rich.table import Table
from rich.text import Text

from rnas.reports.figures.style import drawable
from rnas.reports.ledger import recorded_origin
from rnas.run.files import manifest_in
from rnas.run.study_results import Objective, Standing, StudyResults, TrialResult
from rnas.terminal import shorten

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["by_standing", "front_table", "interval", "repetition", "settings_in_words", "shown", "trial_rows", "why"]

#: Letters of a setting's value that a table shows.
LONGEST = 24


def trial_rows(results: StudyResults, folder: Path) -> list[dict[str, Any]]:
    """A row a trial: its settings, what it measured, where it stands, and what is needed to repeat it.

    Args:
        results: of the study.
        folder: the study's.
    """
    rows = []
    for trial in results.trials:
        row: dict[str, Any] = {
            "trial": trial.number,
            "state": str(trial.state),
            "standing": "" if trial.standing is None else str(trial.standing),
            "chosen": trial.number == results.chosen,
            **trial.settings,
        }
        for objective in results.objectives:
            one = trial.values.get(objective.name)
            row[f"{objective.name}"] = None if one is None else one.value
            if objective.maximise:
                row[f"{objective.name}_low"] = None if one is None else one.low
                row[f"{objective.name}_high"] = None if one is None else one.high
        row |= {"run": trial.run, "reason": trial.reason}
        rows.append(row | recorded_origin(manifest_in(folder / trial.run)))
    return rows


def by_standing(results: StudyResults) -> list[TrialResult]:
    """The finished trials: the front first, each part by number."""
    places = list(Standing)
    return sorted(results.finished, key=lambda trial: (places.index(trial.standing or Standing.BEHIND), trial.number))


def front_table(results: StudyResults) -> Table:
    """The front for a terminal of 80 columns, with the settings of its trials and what they measured."""
    finished, front = results.finished, [t for t in results.finished if t.standing is Standing.FRONT]
    failed = len([trial for trial in results.trials if trial.reason])
    words = [f"{len(front)} of {len(finished)} trials on the front"]
    words += [f"{failed} failed"] if failed else []
    shown_table = Table(title=Text("; ".join(words)), title_justify="left", caption=Text(drawable(why(results))))
    shown_table.caption_justify = "left"
    shown_table.add_column("Trial", justify="right")
    for objective in results.objectives:
        shown_table.add_column(Text(drawable(objective.title)), justify="right")
    shown_table.add_column("Settings", overflow="fold")
    for trial in front:
        cells = [objective.words(trial.values[objective.name].value) for objective in results.objectives]
        mark = " *" if trial.number == results.chosen else ""
        shown_table.add_row(f"{trial.number}{mark}", *cells, Text(drawable(settings_in_words(trial))))
    return shown_table


def settings_in_words(trial: TrialResult) -> str:
    """What was varied, each setting by the last part of its name."""
    return ", ".join(f"{key.rpartition('.')[2]} {shown(value)}" for key, value in trial.settings.items())


def shown(value: object) -> str:
    """A setting's value in a table."""
    if isinstance(value, str):
        return shorten(value, LONGEST)
    return f"{value:.4g}" if isinstance(value, float) else json.dumps(value)


def interval(objective: Objective, trial: TrialResult) -> str:
    """The interval of a value, as text; empty where there is none."""
    one = trial.values[objective.name]
    return f"[{100 * one.low:.1f}, {100 * one.high:.1f}]" if one.low < one.high else ""


def why(results: StudyResults) -> str:
    """Which trial was taken and why, in words."""
    choice = results.choice
    if choice is None:
        return "No trial has finished."
    if len(results.objectives) == 1:
        return f"Chosen: trial {choice.number}, the best."
    front = [trial for trial in results.finished if trial.standing is Standing.FRONT]
    ideal = []
    for objective in results.objectives:
        values = [trial.values[objective.name].value for trial in front]
        ideal.append(f"{objective.title} {objective.words(max(values) if objective.maximise else min(values))}")
    return (
        f"Chosen: trial {choice.number}, of the front the nearest to the ideal ({', '.join(ideal)}), where each "
        "objective is measured in units of its range over the front."
    )


def repetition(results: StudyResults, folder: Path, plugins: list[str]) -> str:
    """The command that repeats the chosen trial; empty where there is none.

    Args:
        results: of the study.
        folder: the study's.
        plugins: that it was made with.
    """
    choice = results.choice
    if choice is None:
        return ""
    words = ["rnas run", results.recipe, f"--config {folder / choice.run / 'config.yaml'}"]
    words += [f"--plugin {name}" for name in plugins]
    return " ".join([*words, f"--out {folder}-trial-{choice.number}"])
