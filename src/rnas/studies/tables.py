"""Tables 1 to 4: networks of the zoo, trained alike on one data set and attacked alike."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from matplotlib.figure import Figure
from rich.table import Table as TerminalTable

from rnas.evaluation import ATTACKS
from rnas.executors import Job
from rnas.networks.cards import published_cards
from rnas.networks.published import COLUMNS, LABELS, tables
from rnas.reports import StudyRow, study_table, table_figure
from rnas.studies.config import ReproduceCommand
from rnas.studies.plan import (
    STUDIES,
    accuracy_rows,
    choose_networks,
    evaluation_job,
    evaluation_of,
    how_trained,
    training_of,
)

__all__ = ["Table"]


@STUDIES.register("table1", "table2", "table3", "table4")
class Table:
    """A table of the paper.

    Args:
        name: "table1" to "table4".
    """

    def __init__(self, name: str) -> None:
        table = tables()[name]
        self.name = name
        self.title = f"Table {name[-1]}: {table['training']} training on {table['data']}"
        self.training: str = table["training"]
        self.data: tuple[str] = (table["data"],)
        self.printed: dict[str, dict[str, Any]] = {row["network"]: row for row in table["rows"]}
        self.networks = tuple(self.printed)
        self.measures = [column for column in COLUMNS if column in table["rows"][0]]

    def phases(self, command: ReproduceCommand) -> Iterator[list[Job]]:
        (data,) = self.data
        evaluation = evaluation_of(command, self.measures)
        jobs = []
        for network in choose_networks(self.name, self.networks, command):
            if published_cards()[network].channels is not None:  # a card without: nobody can build it
                training = training_of(command, data, self.training, network)
                jobs.append(evaluation_job(f"{network} on {data}, {self.training} training", training, evaluation))
        yield jobs

    def rows(self, command: ReproduceCommand) -> list[StudyRow]:
        (data,) = self.data
        rows, evaluation = [], evaluation_of(command, self.measures)
        for network, printed in self.printed.items():
            card = published_cards()[network]
            training = None if card.channels is None else training_of(command, data, self.training, network)
            row = StudyRow(printed["label"], network, self.training, data, measure="", note=card.note)
            paper = {measure: printed[measure] for measure in ("parameters_millions", *self.measures)}
            rows += accuracy_rows(row, training, evaluation, paper)
        return rows

    def table(self, command: ReproduceCommand, rows: Sequence[StudyRow]) -> TerminalTable:
        return study_table({(row.label, row.measure): row for row in rows}, self.title, self.note(command))

    def figure(self, command: ReproduceCommand, rows: Sequence[StudyRow]) -> Figure:
        return table_figure(rows, self.title, self.note(command))

    def note(self, command: ReproduceCommand) -> str:
        """How ours was made, and which networks are whose."""
        settings = evaluation_of(command, self.measures).evaluation
        attacked = f"eps = {settings.eps}, {settings.images or 'all'} test images"
        budgeted = [ATTACKS[name].title for name in settings.attacks if ATTACKS[name].budgeted]
        if settings.autoattack_images and budgeted:
            attacked = f"{attacked}, {settings.autoattack_images} of them under {' and '.join(budgeted)}"
        return f"{how_trained(command, self.data)}; {attacked}; {LABELS}"
