"""Tables 1 to 4: networks of the zoo, trained alike on one data set and attacked alike."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

from matplotlib.figure import Figure

from rnas.executors import Job
from rnas.networks.cards import published_cards
from rnas.networks.published import COLUMNS, tables
from rnas.recipes.studies.config import ReproduceCommand
from rnas.recipes.studies.plan import (
    accuracy_rows,
    chosen,
    evaluation_of,
    how_trained,
    runs_folder,
    train_and_evaluate,
    training_of,
)
from rnas.reports import StudyRow, table_figure

__all__ = ["Table"]


class Table:
    """A table of the paper.

    Args:
        name: "table1" to "table4".
    """

    def __init__(self, name: str) -> None:
        table = tables()[name]
        self.name = name
        self.training: str = table["training"]
        self.data: tuple[str] = (table["data"],)
        self.printed: dict[str, dict[str, Any]] = {row["network"]: row for row in table["rows"]}
        self.networks = tuple(self.printed)
        self.measures = [column for column in COLUMNS if column in table["rows"][0]]

    def phases(self, command: ReproduceCommand) -> Iterator[list[Job]]:
        (data,) = self.data
        evaluation = evaluation_of(command, self.measures)
        jobs = []
        for network in chosen(self.name, self.networks, command):
            if published_cards()[network].channels is not None:  # a card without: nobody can build it
                training = training_of(command, data, self.training, network)
                name = f"{network} on {data}, {self.training} training"
                jobs.append(Job(name, partial(train_and_evaluate, training, evaluation)))
        yield jobs

    def rows(self, command: ReproduceCommand) -> list[StudyRow]:
        (data,) = self.data
        rows = []
        for network, printed in self.printed.items():
            note = published_cards()[network].note
            row = StudyRow(printed["label"], network, self.training, data, measure="", note=note)
            paper = {measure: printed[measure] for measure in ("parameters_millions", *self.measures)}
            rows += accuracy_rows(row, runs_folder(command, data, self.training, network), paper)
        return rows

    def figure(self, command: ReproduceCommand, rows: Sequence[StudyRow]) -> Figure:
        title = f"Table {self.name[-1]}: {self.training} training on {self.data[0]}"
        return table_figure(rows, title, how_trained(command, self.data))
