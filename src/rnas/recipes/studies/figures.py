"""Figures 1 to 3: the layers' vulnerability, the cells that a search finds, and what its bound H does."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from rnas.executors import Job
from rnas.genotype import Genotype
from rnas.manifests import read_manifest
from rnas.networks.cards import published_cards
from rnas.networks.published import tables
from rnas.recipes.config import SearchCommand, TrainCommand, VulnerabilityCommand
from rnas.recipes.stages import run_search, run_training
from rnas.recipes.studies.config import ReproduceCommand
from rnas.recipes.studies.plan import (
    accuracy_rows,
    chosen,
    evaluation_of,
    how_trained,
    run_settings,
    runs_folder,
    stand_ins,
    train_and_evaluate,
    training_of,
)
from rnas.recipes.vulnerability import run_vulnerability
from rnas.reports import LayerRow, StudyRow, draw_genotypes, layers_figure, read_layers, sweep_figure

__all__ = ["Cells", "Layers", "Sweep"]


#: What the paper's tables call its two networks, and their names in the zoo: the authors' repository swaps the labels.
PUBLISHED = (("RNAS-L", "rnas_h"), ("RNAS-H", "rnas_l"))


class Layers:
    """Figure 1: the vulnerability of each layer after adversarial and after standard training (Eq. 4)."""

    data = ("cifar10", "cifar100")
    networks = ("vgg16", "resnet18")
    trainings = ("standard", "adversarial")

    def runs(self, command: ReproduceCommand) -> Iterator[tuple[str, str, str, Path]]:
        """Data set, network, training and folder of each measurement."""
        for data in self.data:
            for network in self.networks:
                for training in self.trainings:
                    yield data, network, training, runs_folder(command, "layers", data, training, network)

    def phases(self, command: ReproduceCommand) -> Iterator[list[Job]]:
        jobs = []
        asked = chosen("figure1", self.networks, command)
        for data, network, training, folder in self.runs(command):
            if network not in asked:
                continue
            trained = training_of(command, data, training, network)
            measure = VulnerabilityCommand(
                models=[trained.out],
                out=str(folder),
                images=command.layers.images,
                attack=command.layers.attack,
                metrics=[command.layers.metric],
                seed=command.seed,
                device=command.device,
                threads=command.threads,
            )
            jobs.append(Job(f"{network} on {data}, {training} training", partial(train_and_measure, trained, measure)))
        yield jobs

    def rows(self, command: ReproduceCommand) -> list[StudyRow]:
        rows = []
        note = "the paper shows this as a plot, without numbers"
        for data, network, training, folder in self.runs(command):
            row = StudyRow(network, network, training, data, f"vulnerability, {command.layers.metric}", note=note)
            row = replace(row, run=str(folder))
            if not (folder / "vulnerability.csv").is_file():
                rows.append(row)
                continue
            manifest = read_manifest(folder)
            images = manifest["config"]["images"]
            rows += [
                replace(
                    row,
                    measure=f"{row.measure}: {layer.layer}",
                    ours=layer.vulnerability,
                    images=images,
                    call=manifest,
                )
                for layer in read_layers(folder / "vulnerability.csv")
            ]
        return rows

    def figure(self, command: ReproduceCommand, rows: Sequence[StudyRow]) -> Figure:  # noqa: ARG002 - one signature
        title = f"Figure 1: vulnerability by layer ({command.layers.metric})"
        panels: dict[tuple[str, str], dict[str, list[LayerRow]]] = {}
        for data, network, training, folder in self.runs(command):
            panel = panels.setdefault((network, data), {})
            if (folder / "vulnerability.csv").is_file():
                panel[training] = read_layers(folder / "vulnerability.csv")
        return layers_figure(panels, title, how_trained(command, self.data))


def train_and_measure(training: TrainCommand, measure: VulnerabilityCommand) -> None:
    """The work of a line of Figure 1."""
    run_training(training)
    run_vulnerability(measure)


class Cells:
    """Figure 2: the cells that a search on CIFAR-10 finds, beside the published ones.

    The paper draws two networks, of different H, and names one H; so the search is compared with both.
    """

    data = ("cifar10",)
    networks = ()

    def phases(self, command: ReproduceCommand) -> Iterator[list[Job]]:
        chosen("figure2", self.networks, command)
        yield [search_job(command, str(command.search.constraint.bound))]

    def rows(self, command: ReproduceCommand) -> list[StudyRow]:
        search = search_of(command, str(command.search.constraint.bound))
        folder = Path(search.out)
        ours: dict[str, float] = {}
        call: dict[str, Any] = {}
        if (folder / "genotype.json").is_file():
            size = json.loads((folder / "results.json").read_text(encoding="utf-8"))["parameters"]
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
        folder = Path(search_of(command, bound).out)
        drawn = {}
        if (folder / "genotype.json").is_file():
            drawn[f"ours, H = {bound}"] = Genotype.load(folder / "genotype.json")
        for label, network in PUBLISHED:
            genotype = published_cards()[network].genotype
            if genotype is not None:
                drawn[f"{label} of the paper"] = genotype
        note = [f"ours: budget {command.budget}, {how_searched(command)}", *stand_ins(command, self.data)]
        heading = ["Figure 2: cells found on cifar10", "; ".join(note)]
        return draw_genotypes(drawn, heading=heading)


def operations(genotype: Genotype) -> Counter[str]:
    """How often each kind of cell uses each operation."""
    return Counter(
        f"{edge.op} in the {kind} cell" for kind, cell in genotype.cells for node in cell.nodes for edge in node
    )


class Sweep:
    """Figure 3: clean and robust accuracy over the bound H; searched on CIFAR-10, trained on all three data sets."""

    data = ("cifar10", "cifar100", "svhn")
    networks = ()
    measures = ("clean", "pgd20")

    def phases(self, command: ReproduceCommand) -> Iterator[list[Job]]:
        chosen("figure3", self.networks, command)
        yield [search_job(command, str(bound)) for bound in command.bounds]
        evaluation = evaluation_of(command, self.measures)
        yield [
            Job(
                f"cells of H = {bound} on {data}, adversarial training",
                partial(train_and_evaluate, transfer_of(command, str(bound), data), evaluation),
            )
            for bound in command.bounds
            for data in self.data
            # Of a search that failed there is nothing to train.
            if (Path(search_of(command, str(bound)).out) / "genotype.json").is_file()
        ]

    def rows(self, command: ReproduceCommand) -> list[StudyRow]:
        note = "the paper shows this as a plot, without numbers"
        return [
            row
            for bound in command.bounds
            for data in self.data
            for row in accuracy_rows(
                StudyRow(f"H = {bound}", f"found with H = {bound}", "adversarial", data, measure="", note=note),
                Path(transfer_of(command, str(bound), data).out),
                dict.fromkeys(("parameters_millions", *self.measures)),
            )
        ]

    def figure(self, command: ReproduceCommand, rows: Sequence[StudyRow]) -> Figure:
        references = [
            StudyRow(row["label"], row["network"], "adversarial", table["data"], measure, paper=row[measure])
            for table in tables().values()
            for row in table["rows"]
            for measure in self.measures
            if table["training"] == "adversarial" and (row["label"], row["network"]) in PUBLISHED
        ]
        note = f"{how_trained(command, self.data)}; {how_searched(command)}"
        return sweep_figure(rows, references, "Figure 3: the bound H of the search, and transfer", note)


def search_of(command: ReproduceCommand, bound: str) -> SearchCommand:
    """The search with a bound."""
    search = replace(command.search, constraint=replace(command.search.constraint, bound=bound))
    folder = runs_folder(command, "cifar10", "search", bound)
    return SearchCommand(out=str(folder), data=command.data.of("cifar10"), search=search, **run_settings(command))


def search_job(command: ReproduceCommand, bound: str) -> Job:
    """The job of the search with a bound."""
    return Job(f"search on cifar10 with H = {bound}", partial(run_search, search_of(command, bound)))


def transfer_of(command: ReproduceCommand, bound: str, data: str) -> TrainCommand:
    """The training of the cells that the search with a bound found."""
    genotype = str(Path(search_of(command, bound).out) / "genotype.json")
    network = replace(command.network, genotype=genotype)
    return training_of(command, data, "adversarial", f"found-{bound}", network)


def how_searched(command: ReproduceCommand) -> str:
    """The search in a few words."""
    search = command.search
    words = f"search: {search.epochs} epochs, {search.cells} cells, {search.channels} channels"
    return f"{words}, bound on {search.constraint.metric}"
