"""A study's results.json, written and read: its trials, what each measured, and which one was taken."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from rnas.documents import check_fields, entries, is_number, part
from rnas.errors import RunError
from rnas.run.files import read_summary

__all__ = ["Measured", "Objective", "Standing", "State", "StudyResults", "TrialResult", "read_study"]


class State(StrEnum):
    """How far a trial is."""

    RUNNING = "running"  # or it was, when the study was killed
    FINISHED = "finished"
    FAILED = "failed"  # its settings do not go together, or its training diverged: it would again


class Standing(StrEnum):
    """Where a finished trial stands among all."""

    FRONT = "front"  # no trial dominates it
    WITHIN = "within intervals"  # dominated by numbers, by none beyond all intervals
    BEHIND = "behind"  # dominated whatever the intervals hide


@dataclass(frozen=True)
class Objective:
    """A number that a study looks at.

    Args:
        name: as it is asked for.
        title: as it should be read.
        maximise: whether more is better. It is then a share of images in [0, 1], else something that is counted.
    """

    name: str
    title: str
    maximise: bool

    @property
    def sign(self) -> int:
        """1 where more is better, -1 where less is."""
        return 1 if self.maximise else -1

    def words(self, value: float) -> str:
        """A value as it is read."""
        if self.maximise:
            return f"{100 * value:.1f}%"
        return f"{value:,.0f}" if float(value).is_integer() else f"{value:.3g}"


@dataclass(frozen=True)
class Measured:
    """A number with its 95% interval (Wilson); what is counted has none, and is both of its ends.

    Args:
        value: the number.
        low: lower end.
        high: upper end.
    """

    value: float
    low: float
    high: float

    @classmethod
    def exact(cls, value: float) -> Measured:
        """A number that is counted."""
        return cls(value, value, value)


@dataclass(frozen=True)
class TrialResult:
    """One trial.

    Args:
        number: from 0, in the order of suggestion.
        settings: what was varied, by full name, each value as a settings file writes it.
        state: how far it is.
        values: by objective; empty unless it is finished.
        standing: None unless it is finished.
        run: its run directory, from the study's folder.
        reason: why it failed, in one line; empty if it did not.
    """

    number: int
    settings: Mapping[str, Any]
    state: State
    values: Mapping[str, Measured] = field(default_factory=dict)
    standing: Standing | None = None
    run: str = ""
    reason: str = ""

    def to_json(self) -> dict[str, Any]:
        """An entry of results.json; `from_json` reads it back."""
        return {
            "number": self.number,
            "settings": dict(self.settings),
            "state": str(self.state),
            "values": {name: vars(one) for name, one in self.values.items()},
            "standing": None if self.standing is None else str(self.standing),
            "run": self.run,
            "reason": self.reason,
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any], where: str) -> TrialResult:
        """Read what `to_json` gave; raises RunError if a value is missing or of another type."""
        check_fields(document, {"number": (int,), "state": (str,), "run": (str,), "reason": (str,)}, where)
        values = {}
        for name, one in part(document, "values", where).items():
            numbers = [one.get(key) for key in ("value", "low", "high")] if isinstance(one, dict) else [None]
            if not all(is_number(number) for number in numbers):
                raise RunError(f"{where}: {name!r} should be a number with its interval")
            values[name] = Measured(*(float(number or 0.0) for number in numbers))
        try:
            standing = None if document.get("standing") is None else Standing(document["standing"])
            state = State(document["state"])
        except ValueError as error:
            raise RunError(f"{where} is damaged: {error}") from error
        settings = part(document, "settings", where)
        return cls(document["number"], settings, state, values, standing, document["run"], document["reason"])


@dataclass(frozen=True)
class StudyResults:
    """What a study has found so far.

    Args:
        recipe: that its trials repeat.
        sampler: who suggests.
        space: setting -> its range or values, in words.
        objectives: what counts, in order.
        trials: by number.
        wanted: how many trials there are to be.
        chosen: the number of the trial that was taken; None where none is finished.
        importance: objective -> setting -> its share of the variance, in [0, 1]; empty where there are too few trials.
        evaluator: who judged the importance, in words.
    """

    recipe: str
    sampler: str
    space: Mapping[str, str]
    objectives: tuple[Objective, ...]
    trials: tuple[TrialResult, ...]
    wanted: int
    chosen: int | None = None
    importance: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    evaluator: str = ""

    @property
    def finished(self) -> tuple[TrialResult, ...]:
        """The trials of which there are numbers."""
        return tuple(trial for trial in self.trials if trial.state is State.FINISHED)

    @property
    def ended(self) -> bool:
        """Whether nothing is left to do."""
        return len(self.trials) >= self.wanted and all(trial.state is not State.RUNNING for trial in self.trials)

    @property
    def choice(self) -> TrialResult | None:
        """The trial that was taken."""
        return next((trial for trial in self.trials if trial.number == self.chosen), None)

    def to_json(self) -> dict[str, Any]:
        """The content of results.json; `from_json` reads it back."""
        return {
            "recipe": self.recipe,
            "sampler": self.sampler,
            "space": dict(self.space),
            "objectives": [vars(objective) for objective in self.objectives],
            "wanted": self.wanted,
            "chosen": self.chosen,
            "importance": {name: dict(shares) for name, shares in self.importance.items()},
            "evaluator": self.evaluator,
            "trials": [trial.to_json() for trial in self.trials],
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any], where: str) -> StudyResults:
        """Read what `to_json` gave; raises RunError if a value is missing or of another type."""
        kinds: dict[str, tuple[type, ...]] = dict.fromkeys(("recipe", "sampler", "evaluator"), (str,))
        check_fields(document, {**kinds, "wanted": (int,), "chosen": (int, type(None))}, where)
        objectives = []
        for entry in entries(document, "objectives", where):
            check_fields(entry, {"name": (str,), "title": (str,), "maximise": (bool,)}, where)
            objectives.append(Objective(entry["name"], entry["title"], entry["maximise"]))
        trials = [
            TrialResult.from_json(entry, f"{where}, trial {place}")
            for place, entry in enumerate(entries(document, "trials", where))
        ]
        importance = part(document, "importance", where)
        for name in importance:
            if not all(is_number(share) for share in part(importance, name, where).values()):
                raise RunError(f"{where}: the importance for {name!r} should be numbers by setting")
        found = cls(
            recipe=document["recipe"],
            sampler=document["sampler"],
            space={key: str(words) for key, words in part(document, "space", where).items()},
            objectives=tuple(objectives),
            trials=tuple(trials),
            wanted=document["wanted"],
            chosen=document["chosen"],
            importance=importance,
            evaluator=document["evaluator"],
        )
        if (doubt := found.inconsistent()) is not None:
            raise RunError(f"{where} is damaged: {doubt}")
        return found

    def inconsistent(self) -> str | None:
        """What does not fit together, in words; None if all does."""
        names = [objective.name for objective in self.objectives]
        if not names or len(set(names)) < len(names):
            return "it has no objectives, or one of them twice"
        for trial in self.trials:
            if set(trial.settings) != set(self.space):
                return f"trial {trial.number} has not the settings of its space"
            if not all(value is None or isinstance(value, (str, int, float)) for value in trial.settings.values()):
                return f"a setting of trial {trial.number} is no single value"
            if trial.state is State.FINISHED and (set(trial.values) != set(names) or trial.standing is None):
                return f"trial {trial.number} has not the numbers of its objectives, or no standing"
        if self.chosen is not None and self.chosen not in [trial.number for trial in self.finished]:
            return f"its chosen trial {self.chosen} is none that has finished"
        if not set(self.importance) <= set(names) or any(
            set(one) - set(self.space) for one in self.importance.values()
        ):
            return "its importance is of other objectives or settings"
        return None


def read_study(folder: Path) -> StudyResults:
    """What a study in a folder has found.

    Raises:
        RunError: if there is none, or its results are damaged.
    """
    return StudyResults.from_json(read_summary(folder), str(folder / "results.json"))
