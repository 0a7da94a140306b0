"""Figure 3: what the bound H of the search does to the accuracies, and their transfer to other data."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from matplotlib.figure import Figure
from rich.table import Table

from rnas.commands.config import TrainCommand
from rnas.executors import Job
from rnas.networks.published import LABELS, tables
from rnas.reports import StudyRow, study_table, sweep_figure
from rnas.studies.cells import PUBLISHED, how_searched, search_job, search_of
from rnas.studies.config import ReproduceCommand
from rnas.studies.plan import (
    CURVES,
    STUDIES,
    accuracy_rows,
    choose_networks,
    evaluation_job,
    evaluation_of,
    how_trained,
    training_of,
)

__all__ = ["Sweep"]


@STUDIES.register("figure3")
class Sweep:
    """Figure 3: clean and robust accuracy over the bound H; searched on CIFAR-10, trained on all three data sets."""

    data = ("cifar10", "cifar100", "svhn")
    networks = ()
    measures = ("clean", "pgd20")

    def __init__(self, name: str) -> None:
        self.name = name

    def phases(self, command: ReproduceCommand) -> Iterator[list[Job]]:
        choose_networks(self.name, self.networks, command)
        yield [search_job(command, str(bound)) for bound in command.bounds]
        evaluation = evaluation_of(command, self.measures)
        yield [
            evaluation_job(
                f"cells of H = {bound} on {data}, adversarial training",
                transfer_of(command, str(bound), data),
                evaluation,
            )
            for bound in command.bounds
            for data in self.data
            # Of a search that failed there is nothing to train.
            if (Path(search_of(command, str(bound)).out) / "genotype.json").is_file()
        ]

    def rows(self, command: ReproduceCommand) -> list[StudyRow]:
        rows = [
            row
            for bound in command.bounds
            for data in self.data
            for row in accuracy_rows(
                StudyRow(f"H = {bound}", f"found with H = {bound}", "adversarial", data, measure="", note=CURVES),
                transfer_of(command, str(bound), data),
                evaluation_of(command, self.measures),
                dict.fromkeys(("parameters_millions", *self.measures)),
            )
        ]
        return rows + self.references()

    def references(self) -> list[StudyRow]:
        """The accuracies that the paper's tables print for its two networks."""
        return [
            StudyRow(
                row["label"],
                row["network"],
                "adversarial",
                table["data"],
                measure,
                paper=row[measure],
                note=f"as the paper's {name.capitalize()[:-1]} {name[-1]} prints it, without the H of the search",
            )
            for name, table in tables().items()
            for row in table["rows"]
            for measure in self.measures
            if table["training"] == "adversarial" and (row["label"], row["network"]) in PUBLISHED
        ]

    def table(self, command: ReproduceCommand, rows: Sequence[StudyRow]) -> Table:
        cells = {(f"{row.label}, {row.data}", row.measure): row for row in rows}
        return study_table(cells, "Figure 3", self.note(command))

    def figure(self, command: ReproduceCommand, rows: Sequence[StudyRow]) -> Figure:
        references = self.references()
        ours = [row for row in rows if row not in references]
        title = "Figure 3: the bound H of the search, and transfer"
        return sweep_figure(ours, references, title, self.note(command))

    def note(self, command: ReproduceCommand) -> str:
        """How ours was made, and what the paper shows."""
        words = [how_trained(command, self.data), how_searched(command)]
        if len({command.data.of(name) for name in self.data}) == 1:
            words.append("the three data sets are the same images here, and their numbers the same")
        words += [f"{CURVES}, and does not say the H of the two networks that its tables have", LABELS]
        return "; ".join(words)


def transfer_of(command: ReproduceCommand, bound: str, data: str) -> TrainCommand:
    """The training of the cells that the search with a bound found."""
    genotype = str(Path(search_of(command, bound).out) / "genotype.json")
    network = replace(command.network, genotype=genotype)
    return training_of(command, data, "adversarial", f"found-{bound}", network)
