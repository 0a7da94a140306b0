"""`rnas reproduce`: do the runs of a study, then write its CSV file and its figure."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from rich.table import Table

from rnas.commands.checks import check_attacks, check_name, check_search, check_training
from rnas.commands.comparing import load_data
from rnas.errors import RunError
from rnas.executors import open_executor
from rnas.reports import StudyRow, save, study_csv
from rnas.run.files import write_atomically
from rnas.run.lock import locked
from rnas.studies.config import ReproduceCommand
from rnas.studies.plan import STUDIES, Study, choose_networks
from rnas.training.loop import check_images as check_training_images
from rnas.vulnerability.metrics import METRICS

__all__ = ["run_study", "tabulate_study"]


#: Names of data sets; anything else is what the user gives as the data set, such as a folder.
NAMES = ("digits", "cifar10", "cifar100", "svhn")


def run_study(name: str, command: ReproduceCommand) -> Path:
    """Repeat a table or a figure of the paper; what is finished is not repeated.

    The CSV file is written anew as each run ends, the figure when all have.

    Args:
        name: one of `rnas.studies.plan.STUDIES`.
        command: how, and where.

    Returns:
        The CSV file; the figure stands beside it, as PNG and SVG.

    Raises:
        UnknownNameError: if there is no such study, or it has not one of the networks.
        ConfigError, DataError: if a setting or the images cannot be used; then nothing has run.
        RunError: if runs failed; what the others measured is then in the CSV file and the figure.
    """
    study = STUDIES[name]
    check_names(name, study, command)
    out = Path(command.out)
    failures: dict[str, str] = {}
    count = 0
    with open_executor(command) as execute:
        check_images(study, command)
        with locked(out):
            rows = write_rows(name, study, command)
            for jobs in study.phases(command):
                left = [job for job in jobs if not job.finished]
                count += len(jobs)
                if len(left) < len(jobs):
                    told = f"already finished: {len(jobs) - len(left)} of {len(jobs)}"
                    print(told, file=sys.stderr, flush=True)
                for outcome in execute(left) if left else ():
                    if outcome.failure is not None:
                        failures[outcome.job.name] = outcome.failure
                    rows = write_rows(name, study, command)
            save(study.figure(command, rows), out, name)
    if failures:
        first, reason = next(iter(failures.items()))
        raise RunError(
            f"{len(failures)} of {count} runs of {name} failed, the first of them {first}: {reason}; "
            f"the others are in {out}/{name}.csv, and the same command tries these again"
        )
    return out / f"{name}.csv"


def tabulate_study(name: str, command: ReproduceCommand) -> Table:
    """The numbers of a study that are there, for a terminal; arguments are those of `run_study`."""
    study = STUDIES[name]
    return study.table(command, study.rows(command))


def check_names(name: str, study: Study, command: ReproduceCommand) -> None:
    """All names in the settings, before anything is begun."""
    choose_networks(name, study.networks, command)
    check_training(command.training)
    check_search(command.search)
    check_name("layers.metric", METRICS, command.layers.metric)


def check_images(study: Study, command: ReproduceCommand) -> None:
    """Whether there are images that the attacks can use; those of the hub are then in the cache, for all runs."""
    for data in study.data:
        images = load_data(command.data.of(data), command.seed)
        check_attacks(command.evaluation, images)
        check_training_images(images, command.training)


def write_rows(name: str, study: Study, command: ReproduceCommand) -> Sequence[StudyRow]:
    """Write what is measured so far."""
    rows = study.rows(command)
    sources = {data: describe_data(command, data) for data in study.data}
    write_atomically(Path(command.out) / f"{name}.csv", study_csv(rows, name, command.budget, sources))
    return rows


def describe_data(command: ReproduceCommand, data: str) -> str:
    """The images that are used as a data set of the paper, in words."""
    config = command.data.of(data)
    stands = config.source in NAMES and config.source != data
    words = [f"{config.source} (stands for {data})" if stands else config.source]
    words += [f"{config.limit} training images"] if config.limit else []
    words += [f"{config.pixels} pixels"] if config.pixels else []
    return ", ".join(words)
