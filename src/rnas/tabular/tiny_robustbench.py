"""Random cells of the DARTS space with what they came to: the parquet file of Tiny-RobustBench.

Each row is a cell whose network of 8 cells was trained on CIFAR-10 for 105 epochs by PGD-7 adversarial training; after
the 99th the learning rate drops. Its columns are the fields of `TrainedCell`; a genotype is the text of a
genotype.json. Other columns are left alone.

What the 110 rows show of their accuracies: `clean_accuracy` is always the highest of `test_clean_accuracy`, which 93
cells reach before the rate drops, so it is chosen on test images and need not be of the network that was attacked.
`pgd_accuracy` is never below `last_pgd_accuracy`, and in 20 rows equal to it. With which steps and eps of PGD, and
with how many channels, the file does not say. The clean accuracy after the last epoch is the last of the curve.

References:
    Feng et al. 2025, "Zero-cost Proxy for Adversarial Robustness Evaluation" (ICLR), supplementary archive.
    Liu et al. 2019, "DARTS: Differentiable Architecture Search" (https://arxiv.org/abs/1806.09055).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from rnas.errors import DataError, GenotypeError, nearest
from rnas.genotype import Genotype
from rnas.spaces import darts
from rnas.tabular.files import read_columns

__all__ = ["TrainedCell", "read_cells"]


@dataclass(frozen=True)
class TrainedCell:
    """One cell and the training of its network. Accuracies are in [0, 1]; curves have one value for each epoch.

    Args:
        seed: what the authors drew the cell with; every cell has its own.
        genotype: normal and reduction cell.
        parameters_16_channels_8_cells: size of its network for ten classes of that width and depth.
        parameters_36_channels_20_cells: the same in the published form.
        clean_accuracy: on test images, the highest of all epochs.
        pgd_accuracy: on test images under PGD, the higher of the last epoch and another.
        last_pgd_accuracy: the same of the last epoch.
        train_adversarial_loss: cross-entropy of adversarial training images.
        train_clean_accuracy: on training images.
        train_adversarial_accuracy: on adversarial training images.
        test_clean_accuracy: on test images.
        test_clean_loss: cross-entropy of test images.
    """

    seed: int
    genotype: Genotype
    parameters_16_channels_8_cells: int
    parameters_36_channels_20_cells: int
    clean_accuracy: float
    pgd_accuracy: float
    last_pgd_accuracy: float
    train_adversarial_loss: tuple[float, ...]
    train_clean_accuracy: tuple[float, ...]
    train_adversarial_accuracy: tuple[float, ...]
    test_clean_accuracy: tuple[float, ...]
    test_clean_loss: tuple[float, ...]


#: The type of each column in the file, by that of the field.
TYPES = {
    "int": pa.int64(),
    "Genotype": pa.string(),
    "float": pa.float64(),
    "tuple[float, ...]": pa.list_(pa.float64()),
}

#: Each column with its type.
COLUMNS = {field.name: TYPES[str(field.type)] for field in fields(TrainedCell)}


def read_cells(path: Path | str) -> tuple[TrainedCell, ...]:
    """Read the file.

    Args:
        path: the parquet file.

    Returns:
        Its cells, in the order of the file; genotypes say that they are of the DARTS space.

    Raises:
        DataError: if it is missing or malformed; the message names the file, and the seed and the column where there
            are such.
    """
    path = Path(path)
    table = read_columns(path, list(COLUMNS))
    columns = {}
    for name, kind in COLUMNS.items():
        try:
            columns[name] = table.column(name).cast(kind).to_pylist()
        except pa.ArrowException as error:
            raise DataError(f"{path}: expected {kind} in the column {name!r}, got {table.column(name).type}") from error
    if not table.num_rows:
        raise DataError(f"{path}: expected at least one cell, got none")
    cells = tuple(
        _read_cell(dict(zip(columns, row, strict=True)), f"{path}: the cell of seed {row[0]}")
        for row in zip(*columns.values(), strict=True)
    )
    for name in ("seed", "genotype"):
        if len(different := {getattr(cell, name) for cell in cells}) < len(cells):
            raise DataError(f"{path}: expected every {name} once, got {len(different)} of them in {len(cells)} rows")
    return cells


def _read_cell(row: dict[str, Any], where: str) -> TrainedCell:
    """A row, checked; `where` begins the error."""
    for name, value in row.items():
        if value is None:
            raise DataError(f"{where} has no {name}")
        if "accuracy" in name:
            _check_range(value, 1.0, f"{where}: {name} should be in [0, 1]")
        elif "loss" in name:
            _check_range(value, math.inf, f"{where}: {name} should be finite and >= 0")
        elif "parameters" in name and value < 1:
            raise DataError(f"{where}: {name} should be >= 1, is {value}")
    curves = {name: tuple(value) for name, value in row.items() if isinstance(value, list)}
    if len(lengths := {len(curve) for curve in curves.values()}) > 1 or 0 in lengths:
        raise DataError(f"{where}: expected curves of one length >= 1, got {sorted(lengths)} epochs")
    try:
        return TrainedCell(**row | curves | {"genotype": _read_genotype(row["genotype"])})
    except GenotypeError as error:
        raise DataError(f"{where}: {error}") from error


def _check_range(value: float | Sequence[float | None], most: float, expected: str) -> None:
    """Refuse a number, or one of a curve, that is missing, not finite, below 0 or above `most`."""
    for number in [value] if isinstance(value, float) else value:
        if number is None or not (math.isfinite(number) and 0 <= number <= most):
            raise DataError(f"{expected}, is {number}")


def _read_genotype(text: str) -> Genotype:
    """A genotype of the DARTS space; raises GenotypeError if it is another's."""
    genotype = Genotype.from_json(text)
    if genotype.kinds != darts.KINDS:
        raise GenotypeError(f"expected the cells {', '.join(darts.KINDS)}, got {', '.join(genotype.kinds)}")
    for kind, cell in genotype.cells:
        if (cell.inputs, len(cell.nodes)) != (darts.INPUTS, darts.NODES) or not all(cell.nodes):
            raise GenotypeError(
                f"cell {kind!r}: expected {darts.INPUTS} inputs and {darts.NODES} nodes with edges, "
                f"got {cell.inputs} and {sum(map(bool, cell.nodes))}"
            )
        for edge in (edge for node in cell.nodes for edge in node):
            if edge.op not in darts.OPERATIONS:
                raise GenotypeError(f"cell {kind!r}: no operation {edge.op!r}{nearest(edge.op, darts.OPERATIONS)}")
    return replace(genotype, space=darts.NAME)
