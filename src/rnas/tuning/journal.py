"""The memory of a study: Optuna's journal, a file to which each suggestion and each result is appended as one line.

What is in it decides a study, so it is read first and written before anything is believed. `optuna-dashboard
journal.log` shows it. One process at a time writes it, that which holds the study's folder.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rnas.errors import RunError, reason_of
from rnas.run.files import refuse_link
from rnas.run.study_results import Measured, Objective, State
from rnas.tuning.samplers import Past, Sampler, Suggestion, distributions
from rnas.tuning.space import Dimension, Value

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

__all__ = ["JOURNAL", "Journal"]

JOURNAL = "journal.log"

#: What a study is called in its journal.
NAME = "rnas tune"


class Journal:
    """The trials of a study.

    Args:
        folder: the study's.
        dimensions: its space.
        objectives: what counts.

    Raises:
        RunError: if the journal is damaged, or of a study with other objectives.
    """

    def __init__(self, folder: Path, dimensions: Sequence[Dimension], objectives: Sequence[Objective]) -> None:
        import optuna
        from optuna.storages import JournalStorage
        from optuna.storages.journal import JournalFileBackend

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self.path = folder / JOURNAL
        self.dimensions, self.objectives = tuple(dimensions), tuple(objectives)
        mend(self.path)
        try:
            self._storage = JournalStorage(JournalFileBackend(str(self.path)))
            directions = ["maximize" if one.maximise else "minimize" for one in objectives]
            begun = any(study.study_name == NAME for study in self._storage.get_all_studies())
            self._study = (
                optuna.load_study(storage=self._storage, study_name=NAME)
                if begun
                else optuna.create_study(storage=self._storage, study_name=NAME, directions=directions)
            )
            wanted = [one.name.upper() for one in self._study.directions]
            names = [one.name for one in objectives]
            if wanted != [direction.upper() for direction in directions]:
                raise RunError(f"{self.path} belongs to a study with other objectives; choose another --out")
            if self._study.metric_names != names:  # what optuna-dashboard calls them
                self._storage.set_study_system_attr(self._study._study_id, "study:metric_names", names)
        except (KeyError, ValueError, TypeError, AssertionError) as error:
            raise RunError(f"{self.path} is damaged: {reason_of(error)}; choose another --out") from error

    def trials(self) -> list[FrozenTrial]:
        """All trials, by number."""
        return self._study.get_trials(deepcopy=False)

    def suggest(self, sampler: Sampler, seed: int, batch: int, *, startup: int, population: int) -> FrozenTrial:
        """Suggest the next trial and keep it, in one line of the journal.

        Args:
            sampler: who suggests.
            seed: of the study.
            batch: trials that are suggested without knowing each other's results.
            startup: as of `rnas.tuning.samplers.Past`.
            population: likewise.
        """
        from optuna.trial import TrialState, create_trial

        before = self.trials()
        number = len(before)
        first = number - number % batch
        known = [] if sampler.alone else [*as_seen(before[:first]), *map(as_running, before[first:])]
        past = Past([one.sign for one in self.objectives], known, startup, population)
        suggestion: Suggestion = sampler.suggest(self.dimensions, seed, number, past)
        trial = create_trial(
            state=TrialState.RUNNING,
            params=dict(suggestion.drawn),
            distributions=distributions(self.dimensions),
            system_attrs=dict(suggestion.attributes),
        )
        self._study.add_trial(trial)
        return self.trials()[number]

    def settings(self, trial: FrozenTrial) -> dict[str, Value]:
        """The settings of a trial, as a settings file writes them."""
        return {one.key: one.setting(trial.params[one.key]) for one in self.dimensions}

    def finish(self, trial: FrozenTrial, values: Mapping[str, Measured]) -> None:
        """Keep what a trial measured."""
        from optuna.trial import TrialState

        for name, one in values.items():
            if one.low < one.high:
                self._storage.set_trial_user_attr(trial._trial_id, f"{name} 95%", [one.low, one.high])
        ordered = [values[one.name].value for one in self.objectives]
        self._storage.set_trial_state_values(trial._trial_id, TrialState.COMPLETE, ordered)

    def fail(self, trial: FrozenTrial, reason: str) -> None:
        """Keep that a trial failed, and would again."""
        from optuna.trial import TrialState

        self._storage.set_trial_user_attr(trial._trial_id, "reason", reason)
        self._storage.set_trial_state_values(trial._trial_id, TrialState.FAIL)

    def values(self, trial: FrozenTrial) -> dict[str, Measured]:
        """What a finished trial measured."""
        found = {}
        for one, value in zip(self.objectives, trial.values or (), strict=False):
            low, high = trial.user_attrs.get(f"{one.name} 95%", (value, value))
            found[one.name] = Measured(value, low, high)
        return found

    def importance(self, seed: int) -> dict[str, dict[str, float]]:
        """The share of each setting in the variance of each objective; empty where trials are too few or all alike."""
        from optuna.importance import FanovaImportanceEvaluator, get_param_importances

        found: dict[str, dict[str, float]] = {}
        if len([trial for trial in self.trials() if trial.values]) < len(self.dimensions) + 2:
            return found
        for place, one in enumerate(self.objectives):
            evaluator = FanovaImportanceEvaluator(seed=seed % 2**32)

            def target(trial: FrozenTrial, place: int = place) -> float:
                return float(trial.values[place])

            try:
                shares = get_param_importances(self._study, evaluator=evaluator, target=target)
            except (RuntimeError, ValueError):  # nothing varied
                continue
            found[one.name] = {name: float(share) for name, share in shares.items()}
        return found


def state_of(trial: FrozenTrial) -> State:
    """How far a trial is."""
    names: dict[str, State] = {"COMPLETE": State.FINISHED, "FAIL": State.FAILED}
    return names.get(trial.state.name, State.RUNNING)


def as_seen(trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
    """Trials as a sampler sees them: failed ones as pruned, for it would suggest what it does not see again and again.

    Of these it sees only so many that none of them is ever among the better part, a tenth of all, of TPE.
    """
    from optuna.trial import TrialState, create_trial

    room = 8 * sum(state_of(trial) is State.FINISHED for trial in trials)
    seen = []
    for trial in trials:
        if state_of(trial) is State.FAILED and room > 0:
            room -= 1
            told = {"params": trial.params, "distributions": trial.distributions, "system_attrs": trial.system_attrs}
            seen.append(create_trial(state=TrialState.PRUNED, **told))
        else:
            seen.append(trial)
    return seen


def as_running(trial: FrozenTrial) -> Any:
    """A trial as others of its batch know it, whatever became of it meanwhile."""
    from optuna.trial import TrialState, create_trial

    return create_trial(
        state=TrialState.RUNNING,
        params=trial.params,
        distributions=trial.distributions,
        system_attrs=trial.system_attrs,
    )


def mend(path: Path) -> None:
    """Remove what a killed process left: half a last line, and a lock for which Optuna would wait half a minute."""
    refuse_link(path)
    lock = path.with_name(path.name + ".lock")
    lock.unlink(missing_ok=True)
    if not path.exists():
        return
    with path.open("r+b") as file:
        content = file.read()
        whole = content.rfind(b"\n") + 1
        if whole < len(content):
            file.truncate(whole)
