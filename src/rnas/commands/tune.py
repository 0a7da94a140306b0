"""What `rnas tune` does: trials of a recipe, each a run directory, as a sampler suggests them, and their front."""

from __future__ import annotations

import sys
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rnas import reports
from rnas.commands.config import RecipeCommand
from rnas.commands.run import check_recipe
from rnas.commands.stage import stage
from rnas.commands.trial import failure_of, is_ended, run_trial
from rnas.commands.tune_checks import checked_study
from rnas.commands.tune_config import TuneCommand
from rnas.errors import ConfigError, RunError
from rnas.executors import Job, open_executor
from rnas.reports.ledger import csv_text
from rnas.run.directory import Run
from rnas.run.files import refuse_link
from rnas.run.manifest import Changes, refuse
from rnas.run.study_results import Objective, State, StudyResults, TrialResult, read_study
from rnas.tuning.changing import changed, typed
from rnas.tuning.front import chosen, standings
from rnas.tuning.journal import Journal, state_of
from rnas.tuning.objectives import measure, objective
from rnas.tuning.space import readable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from optuna.trial import FrozenTrial

__all__ = ["run_tuning"]

#: Who judges the importance of settings.
EVALUATOR = "fANOVA over the finished trials (Hutter et al. 2014), as Optuna computes it, for each objective alone"


def run_tuning(command: TuneCommand) -> Path:
    """Try settings until there are as many trials as asked for; what is finished is not repeated.

    Args:
        command: the study.

    Returns:
        The page with the front.

    Raises:
        ConfigError: if a name, the space or a setting cannot be; then nothing has run.
        RunError: if the folder cannot be used, or trials could not be ended; the same command tries those again.
    """
    tuning = Tuning(command)
    with open_executor(command) as execute, stage(command, "tune", change_trials) as (run, _):
        if not run.complete(partial(read_ended, command.trials)):
            tuning.open(run)
            while jobs := tuning.next_jobs():
                failures: dict[str, str] = {}
                for outcome in execute(jobs):
                    if outcome.failure is not None:
                        failures[outcome.job.name] = outcome.failure
                    tuning.settle()
                if failures:
                    first, reason = next(iter(failures.items()))
                    raise RunError(
                        f"{len(failures)} of {len(jobs)} trials did not end, the first of them {first}: {reason}; "
                        "the same command tries these again"
                    )
                tuning.require_progress()
            tuning.write(importance=True)
            run.finish()
    return reports.report(run.path)


def change_trials(path: Path, manifest: Mapping[str, Any], changed: Changes) -> None:
    """Let a study go on with another number of trials, and with nothing else that decides them."""
    if fixed := {key: value for key, value in changed.items() if key != "trials"}:
        refuse(path, manifest, fixed)


def read_ended(trials: int, folder: Path) -> None:
    """Make sure that a study's results can be read and are complete; raises RunError if not."""
    if not read_study(folder).ended:
        raise RunError(f"{folder} has not all of its {trials} trials")


class Tuning:
    """A study at work.

    Args:
        command: the study.

    Raises:
        ConfigError: as `checked_study`.
    """

    def __init__(self, command: TuneCommand) -> None:
        self.command = command
        self.sampler, self.dimensions, self.wanted = checked_study(command)
        self.certification = command.certification_settings()
        self.objectives: list[Objective] = [objective(name) for name in command.objectives]
        self.run: Run
        self.journal: Journal

    def open(self, run: Run) -> None:
        """Read what is there of the study, and settle what ended while nobody noted it."""
        self.run = run
        refuse_link(run.path / "trials")
        self.journal = Journal(run.path, self.dimensions, self.objectives)
        self.settle()

    def trial_command(self, trial: FrozenTrial) -> RecipeCommand:
        """The run of a trial; raises ConfigError if its settings do not go together."""
        kind = type(self.command)
        base = RecipeCommand(**self.command.recipe_settings() | {"out": str(self.place(trial.number))})
        settings = self.journal.settings(trial)
        return changed(base, {key: typed(kind, key, value) for key, value in settings.items()})

    def place(self, number: int) -> Path:
        """The run directory of a trial."""
        return Path(self.command.out) / "trials" / f"{number:04d}"

    def next_jobs(self) -> list[Job]:
        """The trials that can run now: those of the batch that has begun, or of the next one; none when all ended.

        A batch is suggested as a whole, so that no suggestion depends on which of its trials ended first.
        """
        batch = self.wanted if self.sampler.alone else self.command.batch
        while True:
            trials = self.journal.trials()
            running = [trial for trial in trials if state_of(trial) is State.RUNNING]
            begun = running[0].number if running else len(trials)
            if begun >= self.wanted:
                return []
            for _ in range(len(trials), min(begun - begun % batch + batch, self.wanted)):
                command = self.command
                running.append(
                    self.journal.suggest(
                        self.sampler, command.seed, batch, startup=command.startup, population=command.population
                    )
                )
            if jobs := [job for trial in running if (job := self.job(trial)) is not None]:
                return jobs

    def require_progress(self) -> None:
        """Raise RunError if trials have ended well by their engine's word, and nothing of them is here."""
        left = [trial for trial in self.journal.trials() if state_of(trial) is State.RUNNING]
        if left:
            raise RunError(
                f"trial {left[0].number} has ended, and {self.place(left[0].number)} holds no finished run: trials "
                "need a folder that all machines share"
            )

    def job(self, trial: FrozenTrial) -> Job | None:
        """What there is to do for a trial; None where its settings do not go together, which is then noted."""
        refuse_link(self.place(trial.number))
        words = ", ".join(f"{key} {readable(value)}" for key, value in self.journal.settings(trial).items())
        try:
            command = self.trial_command(trial)
            check_recipe(command)
        except ConfigError as error:
            self.journal.fail(trial, str(error))
            return None
        return Job(f"trial {trial.number}: {words}", partial(run_trial, command, self.certification))

    def settle(self) -> None:
        """Note in the journal what became of trials that have ended."""
        for trial in self.journal.trials():
            if state_of(trial) is not State.RUNNING:
                continue
            folder = self.place(trial.number)
            if (reason := failure_of(folder)) is not None:
                self.journal.fail(trial, reason)
            elif is_ended(folder, self.certification.methods):
                names = [one.name for one in self.objectives]
                found = measure(folder, names, self.trial_command(trial).search.constraint.metric)
                self.journal.finish(trial, found)
                told = ", ".join(f"{one.name} {one.words(found[one.name].value)}" for one in self.objectives)
                print(f"trial {trial.number}: {told}", file=sys.stderr, flush=True)
        self.write()

    def write(self, *, importance: bool = False) -> None:
        """Write results.json and trials.csv from the journal."""
        results = self.results(importance=importance)
        self.run.write_json("results.json", results.to_json())
        self.run.write("trials.csv", csv_text(reports.trial_rows(results, Path(self.command.out))))

    def results(self, *, importance: bool) -> StudyResults:
        """What there is so far."""
        trials = [self.result(trial) for trial in self.journal.trials()]
        finished = [trial for trial in trials if trial.state is State.FINISHED]
        points = [[trial.values[one.name] for one in self.objectives] for trial in finished]
        signs = [one.sign for one in self.objectives]
        where = dict(zip([trial.number for trial in finished], standings(points, signs), strict=True))
        choice = chosen(points, signs)
        shares = self.journal.importance(self.command.seed) if importance else {}
        return StudyResults(
            recipe=self.command.recipe,
            sampler=self.command.sampler,
            space={dimension.key: dimension.words for dimension in self.dimensions},
            objectives=tuple(self.objectives),
            trials=tuple(replace(trial, standing=where.get(trial.number)) for trial in trials),
            wanted=self.wanted,
            chosen=None if choice is None else finished[choice].number,
            importance=shares,
            evaluator=EVALUATOR if shares else "",
        )

    def result(self, trial: FrozenTrial) -> TrialResult:
        """A trial, as far as it is."""
        state = state_of(trial)
        return TrialResult(
            number=trial.number,
            settings=self.journal.settings(trial),
            state=state,
            values=self.journal.values(trial) if state is State.FINISHED else {},
            run=str(self.place(trial.number).relative_to(self.command.out)),
            reason=str(trial.user_attrs.get("reason", "")),
        )
