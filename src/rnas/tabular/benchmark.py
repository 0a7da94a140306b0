"""Ground truth for searches: a tabular benchmark, in which every cell of a space was trained and attacked.

A cell is asked for by its string in the benchmark's notation or by its `rnas.Genotype`, a measure by its column, for
example ``cifar10/val_pgd_8_acc``. Cells are compared among all distinct connected cells: one for each isomorph class
of the benchmark whose cells pass their input on. NAS-RobBench-201 has 6,466 classes, five of which do not.

A percentile is the share, in percent, of the cells that are strictly worse plus half of those that are equal (the cell
itself among them), so that the mean over all cells is 50.

The size of a cell is the parameter count of its network with 16 channels and five cells a stage, for ten classes,
taken of the measured member of its class and without the edges that lie on no path. (A class may unite cells of
different sizes: the benchmark's test for isomorphism does not tell an operation that is used twice from two of a kind.)

References:
    Wu et al. 2024, NAS-RobBench-201 (https://openreview.net/forum?id=cdUpf6t6LZ).
    Dong and Yang 2020, NAS-Bench-201 (https://arxiv.org/abs/2001.00326).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rnas.errors import DataError, nearest
from rnas.genotype import Genotype
from rnas.spaces import nasbench201
from rnas.tabular.files import Table, read_table

__all__ = ["Benchmark", "RandomSearch", "Standing"]


@dataclass(frozen=True)
class Standing:
    """How a cell compares with others.

    Args:
        cell: the measured cell of its class, in the benchmark's notation.
        accuracy: its value, in [0, 1].
        parameters: its size.
        rank: one more than the number of cells that are strictly better; 1 is the best.
        cells: number of cells that it is compared with.
        percentile: share of them that are strictly worse plus half of those that are equal, 0 to 100.
    """

    cell: str
    accuracy: float
    parameters: int
    rank: int
    cells: int
    percentile: float


@dataclass(frozen=True)
class RandomSearch:
    """The expected best of some random cells.

    Args:
        budget: number of cells drawn, all distinct.
        accuracy: expected value of the best, in [0, 1].
        percentile: expected percentile of the best, 0 to 100.
    """

    budget: int
    accuracy: float
    percentile: float


class Benchmark:
    """The distinct connected cells of a benchmark with what was measured of them.

    Args:
        table: the files' content; `load` reads them.

    Raises:
        DataError: if no measured cell is connected.
    """

    def __init__(self, table: Table) -> None:
        self._measured_of = table.cells
        self._row = {cell: row for row, cell in enumerate(table.measured)}
        self._columns = table.columns
        self._connected = np.array([nasbench201.is_connected(cell) for cell in table.measured])
        self._sizes = np.array(
            [nasbench201.count_parameters(nasbench201.without_dead_edges(cell)) for cell in table.measured]
        )
        self._names = tuple(nasbench201.format_operations(cell) for cell in table.measured)
        if not self._connected.any():
            raise DataError(f"expected a connected cell among the {len(self._names)} of the benchmark, got none")

    @classmethod
    def load(cls, path: Path | str, meta: Path | str | None = None) -> Benchmark:
        """Read a benchmark.

        Args:
            path: its parquet file, or the JSON file of its results.
            meta: the JSON file that names the cells; None for ``meta.json`` beside the results.

        Raises:
            DataError: if a file is missing or malformed; the message names it, and the cell where there is one.
        """
        return cls(read_table(Path(path), None if meta is None else Path(meta)))

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the measures."""
        return tuple(self._columns)

    @property
    def cells(self) -> tuple[str, ...]:
        """The measured cells of all distinct connected ones, in the benchmark's notation."""
        return tuple(name for name, connected in zip(self._names, self._connected, strict=True) if connected)

    @property
    def sizes(self) -> NDArray[np.int64]:
        """Parameter counts, in the order of `cells`."""
        return self._sizes[self._connected]

    def values(self, column: str) -> NDArray[np.float64]:
        """A measure of all distinct connected cells, in [0, 1], in the order of `cells`.

        Raises:
            DataError: if there is no such column; the message lists them.
        """
        return self._column(column)[self._connected]

    def accuracy(self, cell: str | Genotype, column: str) -> float:
        """A measure of a cell, in [0, 1]; disconnected cells have one too.

        Raises:
            DataError: if the benchmark lacks the cell or the column.
            GenotypeError: if the cell is not of the space.
        """
        return float(self._column(column)[self._find(cell)])

    def parameters(self, cell: str | Genotype) -> int:
        """The size of a cell; raises as `accuracy`."""
        return int(self._sizes[self._find(cell)])

    def standing(self, cell: str | Genotype, column: str, *, at_most: int | None = None) -> Standing:
        """Compare a cell with all distinct connected cells, or with the small ones among them.

        Args:
            cell: any cell of the benchmark, also a disconnected one.
            column: the measure.
            at_most: compare only with cells of no more parameters than this; None for all.

        Raises:
            DataError: if the benchmark lacks the cell or the column, or has no cell so small.
            GenotypeError: if the cell is not of the space.
        """
        return self._standing(self._find(cell), column, self._compared(at_most))

    def _standing(self, row: int, column: str, compared: NDArray[np.bool_]) -> Standing:
        others = self._column(column)[compared]
        accuracy = self._column(column)[row]
        return Standing(
            cell=self._names[row],
            accuracy=float(accuracy),
            parameters=int(self._sizes[row]),
            rank=1 + int((others > accuracy).sum()),
            cells=len(others),
            percentile=float(_percentiles(others, np.array([accuracy]))[0]),
        )

    def standing_at_its_size(self, cell: str | Genotype, column: str) -> Standing:
        """Compare a cell with the distinct connected cells of no more parameters than it; raises as `standing`."""
        return self.standing(cell, column, at_most=self.parameters(cell))

    def standing_at_equal_size(self, cell: str | Genotype, column: str) -> Standing:
        """Compare a cell with the distinct connected cells of exactly its parameters, itself among them.

        A random cell stands at 50 on average, and so does the largest: size alone gains nothing here. Raises as
        `standing`.
        """
        row = self._find(cell)
        return self._standing(row, column, (self._sizes == self._sizes[row]) & self._connected)

    def best(self, column: str, *, at_most: int | None = None) -> Standing:
        """The best distinct connected cell; of equal ones the first in the file.

        Args:
            column: the measure.
            at_most: consider only cells of no more parameters than this; None for all.

        Raises:
            DataError: if there is no such column, or no cell so small.
        """
        rows = np.flatnonzero(self._compared(at_most))
        row = rows[self._column(column)[rows].argmax()]
        return self.standing(self._names[row], column, at_most=at_most)

    def random_search(self, column: str, budget: int, *, at_most: int | None = None) -> RandomSearch:
        """The expected best of `budget` cells, drawn without replacement from the distinct connected ones.

        It is what a search reaches that trains `budget` cells as the benchmark did and keeps the best. With m cells in
        ascending order, the best of n drawn is the k-th with probability C(k - 1, n - 1) / C(m, n).

        Args:
            column: the measure.
            budget: number of cells drawn, at least 1 and at most the number of cells.
            at_most: draw only from cells of no more parameters than this; None for all.

        Raises:
            DataError: if there is no such column, no cell so small, or fewer cells than `budget`.
        """
        values = np.sort(self._column(column)[self._compared(at_most)])
        if not 1 <= budget <= len(values):
            raise DataError(f"budget: expected 1 to {len(values)} cells, got {budget}")
        # The greatest has n / m; from the k-th to the one before it the probability falls by (k - n) / (k - 1).
        k = np.arange(len(values), 1, -1)
        falls = np.clip((k - budget) / (k - 1), 0, None)
        probabilities = (budget / len(values) * np.cumprod(np.concatenate([[1.0], falls])))[::-1]
        return RandomSearch(
            budget=budget,
            accuracy=float(probabilities @ values),
            percentile=float(probabilities @ _percentiles(values, values)),
        )

    def _column(self, name: str) -> NDArray[np.float64]:
        if name not in self._columns:
            raise DataError(f"the benchmark has no column {name!r}{nearest(name, self._columns)}")
        return self._columns[name]

    def _find(self, cell: str | Genotype) -> int:
        """The row of the measured cell that stands for this one."""
        operations = nasbench201.parse_operations(cell) if isinstance(cell, str) else nasbench201.operations_of(cell)
        if operations not in self._measured_of:
            name, count = nasbench201.format_operations(operations), len(self._measured_of)
            raise DataError(f"the benchmark has no cell {name}, only {count} others")
        return self._row[self._measured_of[operations]]

    def _compared(self, at_most: int | None) -> NDArray[np.bool_]:
        """Which measured cells a comparison is with."""
        if at_most is None:
            return self._connected
        small = self._connected & (self._sizes <= at_most)
        if not small.any():
            smallest = self._sizes[self._connected].min()
            raise DataError(f"at_most: expected at least {smallest} parameters, the fewest of any cell, got {at_most}")
        return small


def _percentiles(others: NDArray[np.float64], values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Percentile of each value among others: worse ones plus half of the equal ones, 0 to 100."""
    ordered = np.sort(others)
    worse, not_better = (np.searchsorted(ordered, values, side=side) for side in ("left", "right"))
    return 50.0 * (worse + not_better) / len(ordered)
