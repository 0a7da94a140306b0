"""The files in which a tabular benchmark on the NAS-Bench-201 space comes, read as one table.

Two formats:

- A parquet file with the columns `arch_id`, `arch` (the benchmark's notation), `isomorph_id`, and one column a
  measure, named ``data set/measure``, for example ``cifar10/val_pgd_8_acc``.
- The two JSON files of NAS-RobBench-201 (Wu et al. 2024, https://openreview.net/forum?id=cdUpf6t6LZ). Their layout is
  taken from the authors' reader: ``meta.json`` holds ``{"ids": {id: {"nb201-string": arch, "isomorph": id}}}``, as in
  the data set of Jung et al. 2023 (https://arxiv.org/abs/2306.06712), and the results ``{data set: {id: {measure:
  {seed: accuracy}}}}`` for the ids that are their own isomorph.

Of the results' layout this much is assumed, after programs that others published, as the files were not at hand:
the mean over seeds stands under "threeseed", and a measure taken once is a plain number. Where there is no "threeseed"
the mean of the seeds is taken. "val_pgd_8.0_acc" becomes ``val_pgd_8_acc``, the parquet's name.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from rnas.documents import parse_json
from rnas.errors import DataError, GenotypeError, RunError
from rnas.run.files import MEBIBYTE, read_bytes, require_regular
from rnas.spaces import nasbench201

__all__ = ["Table", "read_columns", "read_table"]

KEYS = ("arch_id", "arch", "isomorph_id")

#: Bytes of a file of results in JSON.
LARGEST = 2048 * MEBIBYTE


@dataclass(frozen=True)
class Table:
    """The content of the files, checked: every cell stands for a measured one.

    Args:
        cells: every cell of the file -> the measured cell that it equals (itself, if it was measured).
        columns: name of a measure -> its value for each measured cell, in the order of `measured`.
        measured: the measured cells.
    """

    cells: dict[nasbench201.Operations, nasbench201.Operations]
    columns: dict[str, NDArray[np.float64]]
    measured: tuple[nasbench201.Operations, ...]


def read_table(path: Path, meta: Path | None = None) -> Table:
    """Read a benchmark's parquet file, or its pair of JSON files.

    Args:
        path: the parquet file, or the JSON file of results.
        meta: the JSON file that names the cells; None for ``meta.json`` beside the results.

    Raises:
        DataError: if a file is missing or malformed; the message names it, and the cell where there is one.
    """
    if path.suffix == ".json":
        return _read_json(path, meta or path.with_name("meta.json"))
    return _read_parquet(path)


def read_columns(path: Path, names: Sequence[str], kind: str = "a parquet file") -> pa.Table:
    """Read a parquet file that has to have some columns.

    Args:
        path: the file.
        names: of the columns; there may be others beside them.
        kind: what may stand there, for the error.

    Raises:
        DataError: if the file or a column is missing, or it is no parquet file.
    """
    try:
        require_regular(path)
        table = pq.read_table(path)
    except RunError as error:
        raise DataError(str(error)) from error
    except FileNotFoundError as error:
        raise DataError(f"{path}: no such benchmark file") from error
    except (OSError, pa.ArrowException) as error:
        reason = str(error).partition("\n")[0]
        raise DataError(f"{path}: expected {kind}: {reason}") from error
    if missing := [name for name in names if name not in table.column_names]:
        raise DataError(f"{path}: expected the columns {', '.join(names)}, {missing[0]!r} is missing")
    return table


def _read_parquet(path: Path) -> Table:
    table = read_columns(path, KEYS, "a parquet file or JSON results (.json)")
    ids, archs, isomorphs = (table.column(key).to_pylist() for key in KEYS)
    names = [field.name for field in table.schema if field.name not in KEYS and pa.types.is_floating(field.type)]
    cells = dict(zip(ids, archs, strict=True))
    if len(cells) < len(ids):
        raise DataError(f"{path}: expected every arch_id once, got {len(cells)} of them in {len(ids)} rows")
    rows = {identity: row for row, identity in enumerate(ids)}
    standing_for = dict(zip(ids, isomorphs, strict=True))
    measured = [identity for identity in ids if standing_for[identity] == identity]
    order = [rows[identity] for identity in measured]
    columns = {name: table.column(name).to_numpy().astype(np.float64)[order] for name in names}
    return _build(path, cells, standing_for, measured, columns)


def _read_json(path: Path, meta: Path) -> Table:
    documents = {}
    for file in (meta, path):
        try:
            documents[file] = parse_json(read_bytes(file, limit=LARGEST), str(file))
        except FileNotFoundError as error:
            raise DataError(f"{file}: no such benchmark file") from error
        except (OSError, RunError) as error:
            raise DataError(str(error)) from error
    try:
        entries = documents[meta]["ids"]
        cells = {identity: entry["nb201-string"] for identity, entry in entries.items()}
        standing_for = {identity: str(entry["isomorph"]) for identity, entry in entries.items()}
    except (KeyError, TypeError, AttributeError) as error:
        raise DataError(f'{meta}: expected {{"ids": {{id: {{"nb201-string", "isomorph"}}}}}}, got {error!r}') from error
    measured = [identity for identity in cells if standing_for[identity] == identity]
    columns = {}
    for data, results in _object(documents[path], path, "data sets").items():
        by_cell = _object(results, path, f"the cells of {data!r}")
        if lost := [identity for identity in measured if identity not in by_cell]:
            raise DataError(f"{path}: {data!r} lacks the cell {lost[0]!r}, which {meta.name} says was measured")
        results_in_order = [_object(by_cell[identity], path, f"the cell {identity!r}") for identity in measured]
        for measure in results_in_order[0] if results_in_order else ():
            values = [_number(result.get(measure)) for result in results_in_order]
            # What is no number for every cell, such as a log of epochs, is no measure that cells can be ranked by.
            if None not in values:
                columns[f"{data}/{measure.replace('.0_', '_')}"] = np.array(values, dtype=np.float64)
    return _build(path, cells, standing_for, measured, columns)


def _build(
    path: Path,
    cells: dict[Any, str],
    standing_for: dict[Any, Any],
    measured: list[Any],
    columns: dict[str, NDArray[np.float64]],
) -> Table:
    """Check what both formats share: `cells` and `standing_for` by id, `columns` in the order of `measured`."""
    operations: dict[Any, nasbench201.Operations] = {}
    identities: dict[nasbench201.Operations, Any] = {}
    for identity, arch in cells.items():
        try:
            operations[identity] = nasbench201.parse_operations(str(arch))
        except GenotypeError as error:
            raise DataError(f"{path}: cell {identity}: {error}") from error
        if (same := identities.setdefault(operations[identity], identity)) != identity:
            raise DataError(f"{path}: expected every cell once, {same} and {identity} are both {arch}")
    chosen = set(measured)
    for identity, other in standing_for.items():
        if other not in chosen:
            raise DataError(f"{path}: cell {identity} has the isomorph {other}, which is not an isomorph of itself")
    if not measured or not columns:
        raise DataError(f"{path}: expected at least one cell and one measure, got {len(measured)} and {len(columns)}")
    for name, values in columns.items():
        wrong = np.flatnonzero(~((values >= 0) & (values <= 1)))
        if wrong.size:
            raise DataError(f"{path}: {name} of cell {measured[wrong[0]]} should be in [0, 1], is {values[wrong[0]]}")
    return Table(
        cells={operations[identity]: operations[other] for identity, other in standing_for.items()},
        columns=columns,
        measured=tuple(operations[identity] for identity in measured),
    )


def _object(document: Any, path: Path, what: str) -> dict[str, Any]:
    if not isinstance(document, dict):
        raise DataError(f"{path}: expected {what} as an object, got {type(document).__name__}")
    return document


def _number(entry: Any) -> float | None:
    """The accuracy of an entry: itself, its "threeseed", or the mean of its seeds; None if it is nothing of these."""
    if isinstance(entry, dict):
        seeds = [entry["threeseed"]] if "threeseed" in entry else list(entry.values())
        return statistics.fmean(seeds) if seeds and all(isinstance(seed, (int, float)) for seed in seeds) else None
    return float(entry) if isinstance(entry, (int, float)) and not isinstance(entry, bool) else None
