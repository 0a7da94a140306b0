"""Figure 2: the cells that a search on CIFAR-10 finds; and the searches, which Figure 3 shares."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from rich.table import Table

from rnas.commands.config import SearchCommand
from rnas.commands.finished import is_finished
from rnas.commands.search import run_search
from rnas.executors import Job
from rnas.genotype import Genotype
from rnas.networks.cards import published_cards
from rnas.networks.published import LABELS
from rnas.reports import StudyRow, draw_genotypes, study_table
from rnas.run.manifest import read_manifest
from rnas.run.search_results import read_search_results
from rnas.studies.config import ReproduceCommand
from rnas.studies.plan import STUDIES, choose_networks, runs_folder, stand_ins

__all__ = ["PUBLISHED", "Cells", "how_searched", "search_job", "search_of"]

#: What the paper's tables call its two networks, and their names in the zoo.
PUBLISHED = (("RNAS-L", "rnas_h"), ("RNAS-H", "rnas_l"))


@STUDIES.register("figure2")
class Cells:
    """Figure 2: the cells that a search on CIFAR-10 finds, beside the published ones.

    The paper draws two networks, of different H, and names one H; so the search is compared with both.
    """

    data = ("cifar10",)
    networks = ()

    def __init__(self, name: str) -> None:
        self.name = name

    def phases(self, command: ReproduceCommand) -> Iterator[list[Job]]:
        choose_networks(self.name, self.networks, command)
        yield [search_job(command, str(command.search.constraint.bound))]

    def rows(self, command: ReproduceCommand) -> list[StudyRow]:
        search = search_of(command, str(command.search.constraint.bound))
        folder = Path(search.out)
        ours: dict[str, float] = {}
        call: dict[str, Any] = {}
        if is_finished(search, "search"):
            size = read_search_results(folder).parameters
            ours = {"parameters_millions": size / 1e6, **operations(Genotype.load(folder / "genotype.json"))}
            call = read_manifest(folder)
        found = f"found with H = {search.search.constraint.bound}"
        rows = []
        for label, network in PUBLISHED:
            card = published_cards()[network]
            printed: dict[str, float] = {"parameters_millions": card.parameters_millions or 0}
            printed |= operations(card.genotype) if card.genotype else {}
            row = StudyRow(label, found, "", "cifar10", measure="", note=card.note, run=search.out, call=call)
            for measure in dict.fromkeys([*printed, *ours]):
                # An operation that only one of them uses is used zero times by the other.
                count = ours.get(measure, 0.0) if ours else None
                rows.append(replace(row, measure=measure, paper=printed.get(measure, 0.0), ours=count))
        return rows

    def figure(self, command: ReproduceCommand, rows: Sequence[StudyRow]) -> Figure:  # noqa: ARG002 - one signature
        bound = str(command.search.constraint.bound)
        search = search_of(command, bound)
        drawn = {}
        if is_finished(search, "search"):
            drawn[f"ours, H = {bound}"] = Genotype.load(Path(search.out) / "genotype.json")
        for label, network in PUBLISHED:
            genotype = published_cards()[network].genotype
            if genotype is not None:
                drawn[f"{label} of the paper"] = genotype
        return draw_genotypes(drawn, heading=["Figure 2: cells found on cifar10", self.note(command)])

    def table(self, command: ReproduceCommand, rows: Sequence[StudyRow]) -> Table:
        cells = {(row.measure, row.label): row for row in rows}
        return study_table(cells, "Figure 2, how often each operation is used", self.note(command))

    def note(self, command: ReproduceCommand) -> str:
        """How ours was made, and which cells are whose."""
        words = [f"ours: budget {command.budget}, {how_searched(command)}", *stand_ins(command, self.data), LABELS]
        return "; ".join(words)


def operations(genotype: Genotype) -> Counter[str]:
    """How often each kind of cell uses each operation."""
    return Counter(
        f"{edge.op} in the {kind} cell" for kind, cell in genotype.cells for node in cell.nodes for edge in node
    )


def search_of(command: ReproduceCommand, bound: str) -> SearchCommand:
    """The search with a bound."""
    search = replace(command.search, constraint=replace(command.search.constraint, bound=bound))
    folder = runs_folder(command, "cifar10", "search", bound)
    return SearchCommand(out=str(folder), data=command.data.of("cifar10"), search=search, **command.run_settings())


def search_job(command: ReproduceCommand, bound: str) -> Job:
    """The job of the search with a bound."""
    search = search_of(command, bound)
    return Job(
        f"search on cifar10 with H = {bound}", partial(run_search, search), finished=is_finished(search, "search")
    )


def how_searched(command: ReproduceCommand) -> str:
    """The search in a few words."""
    search = command.search
    words = f"search: {search.epochs} epochs, {search.cells} cells, {search.channels} channels"
    return f"{words}, bound on {search.constraint.metric}"
