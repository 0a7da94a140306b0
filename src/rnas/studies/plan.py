"""The parts of studies: the runs that they share, as commands, and what is read from finished ones."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Protocol

from matplotlib.figure import Figure
from rich.table import Table

from rnas.commands.config import EvaluateCommand, TrainCommand
from rnas.commands.evaluate import run_evaluation
from rnas.commands.finished import is_attacked_alike, is_evaluated, is_finished
from rnas.commands.train import run_training
from rnas.errors import ConfigError, UnknownNameError, nearest
from rnas.executors import Job
from rnas.models.spec import NetworkSpec
from rnas.networks.config import NetworkConfig
from rnas.registry import Named
from rnas.reports import StudyRow
from rnas.run.files import refuse_link
from rnas.run.results import read_results
from rnas.studies.config import ReproduceCommand
from rnas.training.config import CellTrainingConfig

__all__ = [
    "CURVES",
    "STUDIES",
    "Study",
    "accuracy_rows",
    "choose_networks",
    "evaluation_job",
    "evaluation_of",
    "how_trained",
    "runs_folder",
    "stand_ins",
    "training_of",
]

#: Why a figure has no numbers of the paper.
CURVES = "the paper shows curves without numbers"


class Study(Protocol):
    """A table or a figure of the paper."""

    @property
    def data(self) -> Sequence[str]:
        """The data sets of the paper that it uses."""

    @property
    def networks(self) -> Sequence[str]:
        """The networks that `--networks` chooses from, by their names in the zoo; empty if it searches its own."""

    def phases(self, command: ReproduceCommand) -> Iterator[list[Job]]:
        """The runs: those of a phase need each other not, and begin when all of the phase before have ended."""

    def rows(self, command: ReproduceCommand) -> list[StudyRow]:
        """All numbers of the study, also those that are not measured yet."""

    def table(self, command: ReproduceCommand, rows: Sequence[StudyRow]) -> Table:
        """Its numbers for a terminal."""

    def figure(self, command: ReproduceCommand, rows: Sequence[StudyRow]) -> Figure:
        """Its figure."""


STUDIES: Named[Study] = Named("study", "rnas.studies.catalogue")


def choose_networks(study: str, networks: Sequence[str], command: ReproduceCommand) -> list[str]:
    """The networks of a study that the command asks for, in the study's order.

    Raises:
        UnknownNameError: if it asks for one that is not among them.
        ConfigError: if there are none to ask for.
    """
    if command.networks and not networks:
        raise ConfigError(f"networks: expected none, for {study} searches its own, got {command.networks[0]!r}")
    for name in command.networks:
        if name not in networks:
            raise UnknownNameError(f"networks: {study} has no network {name!r}{nearest(name, networks)}")
    return [name for name in networks if not command.networks or name in command.networks]


def runs_folder(command: ReproduceCommand, *words: str) -> Path:
    """The directory of a run, told from others of its budget by these words."""
    folder = Path(command.out) / "runs" / "-".join(word.replace("%", "_percent") for word in words)
    for path in (folder.parent, folder):
        refuse_link(path)
    return folder


def training_of(
    command: ReproduceCommand, data: str, training: str, name: str, network: NetworkConfig | None = None
) -> TrainCommand:
    """The training of a network.

    Args:
        command: the study's.
        data: the paper's data set.
        training: "adversarial", as configured, or "standard".
        name: of the network, in the zoo, or as it should be called.
        network: if it is not one of the zoo.
    """
    made_of_cells = True
    if network is None:
        network = replace(command.network, name=name, cells=None)
        made_of_cells = NetworkSpec.of(network, num_classes=2, in_channels=1).cell_genotype is not None
        if made_of_cells:
            network = replace(network, cells=command.network.cells)
    settings = command.training
    if training == "standard":
        settings = replace(settings, objective="standard")
    if not made_of_cells:
        settings = replace(settings, cells=CellTrainingConfig())  # of no use to the network
    return TrainCommand(
        out=str(runs_folder(command, data, training, name)),
        data=command.data.of(data),
        network=network,
        training=settings,
        **command.run_settings(),
    )


def evaluation_of(command: ReproduceCommand, measures: Sequence[str]) -> EvaluateCommand:
    """The attacks that the command asks for and the study shows."""
    attacks = [name for name in command.evaluation.attacks if name in measures]
    return EvaluateCommand(evaluation=replace(command.evaluation, attacks=attacks), **command.compute_settings())


def evaluation_job(name: str, training: TrainCommand, evaluation: EvaluateCommand) -> Job:
    """The job of a table's row; it is finished if nothing is left to be trained and attacked."""
    done = is_finished(training, "train") and is_evaluated(Path(training.out), evaluation)
    return Job(name, partial(train_and_evaluate, training, evaluation), finished=done)


def train_and_evaluate(training: TrainCommand, evaluation: EvaluateCommand) -> None:
    """The work of a table's row."""
    run_evaluation([str(run_training(training))], evaluation)


def accuracy_rows(
    row: StudyRow, training: TrainCommand | None, evaluation: EvaluateCommand, paper: Mapping[str, float | None]
) -> list[StudyRow]:
    """A run's accuracies beside the printed ones.

    What an earlier command measured in another way, on other images say, is not this study's and left out.

    Args:
        row: what all rows have in common.
        training: the run's; it may be missing or unfinished. None for a network that nobody can build.
        evaluation: the study's attacks.
        paper: the paper's numbers by measure, in percent, or None. "parameters_millions" is one of them.
    """
    results, run = None, ""
    if training is not None and is_finished(training, "train"):
        run, file = training.out, Path(training.out) / "results.json"
        results = read_results(file) if file.is_file() else None
    rows = []
    for measure, printed in paper.items():
        found = replace(row, measure=measure, paper=printed, run=run)
        attack = None if results is None else results.attack(measure)
        if attack is not None and is_attacked_alike(attack, evaluation.evaluation):
            found = replace(
                found,
                ours=100 * attack.accuracy,
                low=100 * attack.low,
                high=100 * attack.high,
                images=attack.images,
                call=attack.call,
            )
        elif results is not None and results.parameters and measure == "parameters_millions":
            clean = results.attack("clean")
            found = replace(found, ours=results.parameters / 1e6, call={} if clean is None else clean.call)
        rows.append(found)
    return rows


def how_trained(command: ReproduceCommand, data: Sequence[str], *, cells: bool = True) -> str:
    """In a few words, what sets the training of our networks apart from the paper's.

    Args:
        command: the study's.
        data: the paper's data sets.
        cells: whether networks of cells are among them.
    """
    training, network = command.training, command.network
    words = [f"ours: budget {command.budget}, trained for {training.epochs} epochs"]
    words += [f"{network.channels} channels" if network.channels else "published widths"]
    words += [f"{network.cells} cells where there are cells"] if network.cells and cells else []
    words += [f"{command.data.limit} training images"] if command.data.limit else []
    return "; ".join([", ".join(words), *stand_ins(command, data)])


def stand_ins(command: ReproduceCommand, data: Sequence[str]) -> list[str]:
    """Say which images were used instead of the paper's."""
    stands: dict[str, list[str]] = {}
    for name in data:
        stands.setdefault(command.data.of(name).source, []).append(name)
    words = [f"{source} used as {' and as '.join(names)}" for source, names in stands.items() if names != [source]]
    incomparable = "digits" in stands or command.budget == "smoke"
    return [*words, "not to be compared with the paper"] if incomparable else words
