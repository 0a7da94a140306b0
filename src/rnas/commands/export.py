"""`rnas export`: write programs of a trained network, draw its cells, and describe it on a card."""

from __future__ import annotations

import hashlib
from pathlib import Path

from rnas import reports
from rnas.commands.config import ExportCommand
from rnas.errors import RunError
from rnas.models.exporting import onnx_is_installed, save_onnx, save_program, trace
from rnas.models.resolve import load_model
from rnas.models.spec import NetworkSpec
from rnas.networks.counting import count_multiply_accumulates, count_parameters
from rnas.progress import reporting
from rnas.reports.card import ExportedFile, NetworkFacts
from rnas.run.contents import load_results
from rnas.run.files import make_folder, write_atomically
from rnas.run.manifest import read_manifest

__all__ = ["run_export"]


def run_export(folder: Path, command: ExportCommand) -> list[Path]:
    """Export a trained network: model.pt2, model.onnx where the extra rnas[onnx] is installed, cells, README.md.

    Args:
        folder: a run directory that `run_training` wrote.
        command: where to.

    Returns:
        The programs, and the card last.

    Raises:
        RunError: if the folder holds no trained network, a damaged one, or one whose images' size is not recorded.
        ModelError: if the weights do not fit, or an exported program does not compute what the network does.
    """
    read_manifest(folder)  # without it the card could not tell where the network comes from
    network = load_model(str(folder)).network
    load_results(folder)  # what the card tells is refused before the programs are made, not after
    spec = NetworkSpec.load(folder)
    if spec.image_size is None:
        raise RunError(
            f'{folder}/model.json does not tell the size of the images: add to it, for 32x32, "image_size": [32, 32]'
        )
    image = (spec.in_channels, *spec.image_size)
    out = make_folder(folder, "export") if command.out is None else make_folder(Path(command.out))
    savers = {"model.pt2": save_program} | ({"model.onnx": save_onnx} if onnx_is_installed() else {})
    files: list[ExportedFile] = []
    with reporting(f"exporting {folder.name}", 1 + len(savers), unit="files") as reporter:
        program = trace(network, image)
        for done, (name, save) in enumerate(savers.items(), start=1):
            reporter.update(done)
            difference = save(out / name, program, network, image)
            files.append(ExportedFile(name, difference, hashlib.sha256((out / name).read_bytes()).hexdigest()))
        reporter.update(1 + len(savers))
    if (genotype := spec.cell_genotype) is not None:
        reports.save(reports.draw_genotype(genotype, title=folder.resolve().name), out, "cells")
    facts = NetworkFacts(
        description=describe_network(spec),
        image=image,
        classes=spec.num_classes,
        parameters=count_parameters(network),
        multiply_accumulates=count_multiply_accumulates(network, image),
    )
    write_atomically(out / "README.md", reports.model_card(folder, facts, files))
    return [*(out / file.name for file in files), out / "README.md"]


def describe_network(spec: NetworkSpec) -> str:
    """A network in a line: its name, and the width and depth where they are not the published ones."""
    words = [spec.name or "Cells found by a search, stacked"]
    words += [f"{spec.channels} channels in the first stage"] if spec.channels else []
    words += [f"{spec.cells} cells"] if spec.cells else []
    return ", ".join(words)
