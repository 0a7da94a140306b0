"""Figure 1: the vulnerability of the layers of two networks after standard and after adversarial training."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from matplotlib.figure import Figure
from rich.table import Table

from rnas.commands.config import TrainCommand, VulnerabilityCommand
from rnas.commands.finished import is_finished, is_older
from rnas.commands.measuring import MeasuringAttack
from rnas.commands.train import run_training
from rnas.commands.vulnerability import run_vulnerability
from rnas.executors import Job
from rnas.reports import (
    ONE_POSITION,
    LayerRow,
    StudyRow,
    layer_quotients,
    layers_figure,
    read_layers,
    study_table,
)
from rnas.run.manifest import read_manifest
from rnas.studies.config import ReproduceCommand
from rnas.studies.plan import CURVES, STUDIES, choose_networks, how_trained, runs_folder, training_of

__all__ = ["Layers"]

#: What the paper says of the figure, as a number: by how much more vulnerable a layer is after standard training.
QUOTIENT = "standard / adversarial"
CLAIM = "the paper's claim is that this is above 1"


@STUDIES.register("figure1")
class Layers:
    """Figure 1: the vulnerability of each layer after adversarial and after standard training (Eq. 4)."""

    data = ("cifar10", "cifar100")
    networks = ("vgg16", "resnet18")
    trainings = ("standard", "adversarial")

    def __init__(self, name: str) -> None:
        self.name = name

    def folder(self, command: ReproduceCommand, data: str, training: str, network: str) -> Path:
        """Of a measurement."""
        return runs_folder(command, "layers", data, training, network)

    def phases(self, command: ReproduceCommand) -> Iterator[list[Job]]:
        asked = choose_networks(self.name, self.networks, command)
        yield [
            self.job(command, data, training, network)
            for data in self.data
            for network in asked
            for training in self.trainings
        ]

    def job(self, command: ReproduceCommand, data: str, training: str, network: str) -> Job:
        """The work of a line of a panel."""
        trained = training_of(command, data, training, network)
        measure = VulnerabilityCommand(
            models=[trained.out],
            out=str(self.folder(command, data, training, network)),
            images=command.layers.images,
            attack=MeasuringAttack(**vars(command.layers.attack)),
            metrics=[command.layers.metric],
            **command.compute_settings(),
        )
        current = is_older(Path(trained.out) / "weights.safetensors", Path(measure.out) / "vulnerability.csv")
        return Job(
            f"{network} on {data}, {training} training",
            partial(train_and_measure, trained, measure),
            finished=current and is_finished(trained, "train") and is_finished(measure, "vulnerability"),
        )

    def measured(self, command: ReproduceCommand, data: str, network: str) -> dict[str, list[LayerRow]]:
        """The layers of a panel by training; none where nothing is measured yet."""
        return {
            training: read_layers(self.folder(command, data, training, network) / "vulnerability.csv")
            if self.job(command, data, training, network).finished
            else []
            for training in self.trainings
        }

    def rows(self, command: ReproduceCommand) -> list[StudyRow]:
        rows = []
        for data in self.data:
            for network in self.networks:
                layers = self.measured(command, data, network)
                lines = {
                    training: self.lines(command, data, training, network, layers[training]) for training in layers
                }
                quotients = layer_quotients(layers["standard"], layers["adversarial"])
                rows += [row for line in lines.values() for row in line]
                rows += [
                    replace(row, training=QUOTIENT, ours=quotients[layer.layer], run="", note=f"{CURVES}; {CLAIM}")
                    for layer, row in zip(layers["standard"], lines["standard"], strict=False)
                    if layer.layer in quotients
                ]
        return rows

    def lines(
        self, command: ReproduceCommand, data: str, training: str, network: str, layers: Sequence[LayerRow]
    ) -> list[StudyRow]:
        """The rows of one line of a panel; one without a number if it is not measured."""
        folder = self.folder(command, data, training, network)
        measure = f"vulnerability, {command.layers.metric}"
        row = StudyRow(network, network, training, data, measure, note=CURVES, run=str(folder))
        if not layers:
            return [row]
        manifest = read_manifest(folder)
        row = replace(row, images=manifest["config"]["images"], call=manifest)
        return [
            replace(
                row,
                measure=f"{measure}: {layer.layer}",
                ours=layer.vulnerability if layer.defined else None,
                note=CURVES if layer.defined else f"{CURVES}; {ONE_POSITION}",
            )
            for layer in layers
        ]

    def table(self, command: ReproduceCommand, rows: Sequence[StudyRow]) -> Table:
        cells = {
            (" ".join([row.network, row.data, row.measure.partition(": ")[2]]).rstrip(), row.training): row
            for row in rows
        }
        title = f"Figure 1: vulnerability by layer ({command.layers.metric})"
        return study_table(cells, title, self.note(command))

    def figure(self, command: ReproduceCommand, rows: Sequence[StudyRow]) -> Figure:  # noqa: ARG002 - one signature
        title = f"Figure 1: vulnerability by layer ({command.layers.metric})"
        panels = {
            (network, data): self.measured(command, data, network) for data in self.data for network in self.networks
        }
        return layers_figure(panels, title, self.note(command))

    def note(self, command: ReproduceCommand) -> str:
        """How ours was made, and what the paper shows."""
        return f"{how_trained(command, self.data, cells=False)}; {CURVES}; {QUOTIENT}: {CLAIM}"


def train_and_measure(training: TrainCommand, measure: VulnerabilityCommand) -> None:
    """The work of a line of a panel."""
    run_training(training)
    run_vulnerability(measure)
