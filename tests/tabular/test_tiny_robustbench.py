"""Cells of the DARTS space with their trainings: what is read is what was written, and what is wrong is one line."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from rnas.errors import DataError
from rnas.genotype import Cell, Edge, Genotype
from rnas.networks.cells import CellNetwork
from rnas.networks.counting import count_parameters
from rnas.supernets.space import SPACES
from rnas.tabular.tiny_robustbench import COLUMNS, read_cells

Row = dict[str, Any]


def genotype(op: str, *, nodes: int = 4, inputs: int = 2) -> Genotype:
    cell = Cell(nodes=((Edge(op, 0), Edge("skip_connect", 1)),) * nodes, concat=(inputs,), inputs=inputs)
    return Genotype({"normal": cell, "reduce": cell})


#: How a node of these is written.
NODE = json.dumps(genotype("avg_pool_3x3").to_document()["cells"]["normal"]["nodes"][0])


def rows() -> list[Row]:
    """Two cells of three epochs, all values different."""
    return [
        {
            "seed": 7 + number,
            "genotype": genotype(op).to_json(),
            "parameters_16_channels_8_cells": 1000 + number,
            "parameters_36_channels_20_cells": 9000 + number,
            "clean_accuracy": 0.75 - number / 100,
            "pgd_accuracy": 0.5 - number / 100,
            "last_pgd_accuracy": 0.25 - number / 100,
            "train_adversarial_loss": [3.0, 2.0, 1.5 + number],
            "train_clean_accuracy": [0.0, 0.5, 1.0],
            "train_adversarial_accuracy": [0.125, 0.25, 0.375],
            "test_clean_accuracy": [0.25, 0.75, 0.5],
            "test_clean_loss": [2.5, 1.0, 0.0],
        }
        for number, op in enumerate(("sep_conv_3x3", "avg_pool_3x3"))
    ]


def write(folder: Path, content: list[Row]) -> Path:
    path = folder / "cells.parquet"
    pq.write_table(pa.Table.from_pylist(content), path)
    return path


def test_what_is_read_is_what_was_written(tmp_path: Path) -> None:
    written = [row | {"note": "a column of others"} for row in rows()]
    cells = read_cells(write(tmp_path, written))
    assert len(cells) == 2
    for cell, row in zip(cells, rows(), strict=True):
        expected = row | {name: tuple(value) for name, value in row.items() if isinstance(value, list)}
        assert vars(cell) == expected | {"genotype": Genotype.from_json(row["genotype"])}
        assert cell.genotype.space == "darts"


def test_the_types_of_other_writers_will_do(tmp_path: Path) -> None:
    """Half the precision, and texts and lists with long offsets, as polars writes them."""
    table = pa.Table.from_pylist(rows())
    other = [pa.large_list(pa.float32()) if pa.types.is_list(kind) else kind for kind in table.schema.types]
    other[table.column_names.index("genotype")] = pa.large_string()
    path = tmp_path / "cells.parquet"
    pq.write_table(table.cast(pa.schema(list(zip(table.column_names, other, strict=True)))), path)
    assert read_cells(path) == read_cells(write(tmp_path, rows()))


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("pgd_accuracy", 62.5, "seed 8: pgd_accuracy should be in [0, 1], is 62.5"),
        ("clean_accuracy", float("nan"), "seed 8: clean_accuracy should be in [0, 1], is nan"),
        ("last_pgd_accuracy", None, "seed 8 has no last_pgd_accuracy"),
        ("test_clean_loss", [1.0, -0.5, 1.0], "seed 8: test_clean_loss should be finite and >= 0, is -0.5"),
        ("test_clean_loss", [1.0, float("inf"), 1.0], "seed 8: test_clean_loss should be finite and >= 0, is inf"),
        ("test_clean_accuracy", [0.1, None, 0.2], "seed 8: test_clean_accuracy should be in [0, 1], is None"),
        ("test_clean_accuracy", [0.1, 0.2], "seed 8: expected curves of one length >= 1, got [2, 3] epochs"),
        ("parameters_16_channels_8_cells", 0, "seed 8: parameters_16_channels_8_cells should be >= 1, is 0"),
        ("seed", 7, "expected every seed once, got 1 of them in 2 rows"),
        ("genotype", genotype("sep_conv_3x3").to_json(), "expected every genotype once, got 1 of them in 2 rows"),
        ("genotype", "{", "seed 8: the genotype is"),
        (
            "genotype",
            genotype("sep_conv3x3").to_json(),
            "seed 8: cell 'normal': no operation 'sep_conv3x3'; did you mean 'sep_conv_3x3'?",
        ),
        (
            "genotype",
            genotype("avg_pool_3x3", nodes=3).to_json(),
            "seed 8: cell 'normal': expected 2 inputs and 4 nodes with edges, got 2 and 3",
        ),
        (
            "genotype",
            json.dumps(genotype("avg_pool_3x3").to_document()).replace(NODE, "[]", 1),
            "seed 8: cell 'normal': expected 2 inputs and 4 nodes with edges, got 2 and 3",
        ),
        (
            "genotype",
            genotype("avg_pool_3x3", inputs=3).to_json(),
            "seed 8: cell 'normal': expected 2 inputs and 4 nodes with edges, got 3 and 4",
        ),
        (
            "genotype",
            Genotype({"cell": genotype("avg_pool_3x3")["normal"]}).to_json(),
            "seed 8: expected the cells normal, reduce, got cell",
        ),
    ],
)
def test_a_wrong_value_is_one_line_that_names_cell_and_column(
    tmp_path: Path, name: str, value: Any, message: str
) -> None:
    first, second = rows()
    path = write(tmp_path, [first, second | {name: value}])
    with pytest.raises(DataError) as caught:
        read_cells(path)
    assert str(caught.value).startswith(str(path))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_training_of_no_epochs_is_one_line(tmp_path: Path) -> None:
    empty = [{name: [] if isinstance(value, list) else value for name, value in row.items()} for row in rows()]
    table = pa.Table.from_pylist(empty, schema=pa.schema(list(COLUMNS.items())))
    pq.write_table(table, tmp_path / "cells.parquet")
    with pytest.raises(DataError, match=r"seed 7: expected curves of one length >= 1, got \[0\] epochs"):
        read_cells(tmp_path / "cells.parquet")


def without(name: str) -> Callable[[Row], Row]:
    return lambda row: {key: value for key, value in row.items() if key != name}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (without("seed"), "expected the columns seed, genotype, .*'seed' is missing"),
        (without("test_clean_loss"), "'test_clean_loss' is missing"),
        (lambda row: row | {"pgd_accuracy": "high"}, "expected double in the column 'pgd_accuracy', got string"),
        (lambda row: row | {"genotype": [1]}, "expected string in the column 'genotype', got list"),
        (
            lambda row: row | {"test_clean_loss": 1.0},
            r"expected list<\w+: double> in the column 'test_clean_loss', got double",
        ),
    ],
)
def test_a_wrong_column_is_one_line(tmp_path: Path, change: Callable[[Row], Row], message: str) -> None:
    path = write(tmp_path, [change(row) for row in rows()])
    with pytest.raises(DataError, match=message) as caught:
        read_cells(path)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_none_of_the_kind_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "cells.parquet"
    with pytest.raises(DataError, match=r"cells\.parquet: no such benchmark file"):
        read_cells(path)
    path.write_text("no parquet\n" * 9)
    with pytest.raises(DataError, match=r"cells\.parquet: expected a parquet file: ") as caught:
        read_cells(path)
    assert "\n" not in str(caught.value)
    with pytest.raises(DataError, match="is a folder, expected a file"):
        read_cells(tmp_path)
    pq.write_table(pa.Table.from_pylist(rows()).slice(0, 0), path)
    with pytest.raises(DataError, match="expected at least one cell, got none"):
        read_cells(path)


def test_reading_needs_no_torch() -> None:
    code = "import sys, rnas.tabular.tiny_robustbench; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_tiny_robustbench_is_of_our_networks() -> None:
    """Its two sizes are those of the networks that this package builds, its accuracies those of its curves."""
    shared = Path(os.environ.get("RNAS_SHARED") or Path(__file__).parents[3] / "shared")
    path = shared / "data" / "tiny_robustbench.parquet"
    if not path.is_file():
        pytest.skip(f"no Tiny-RobustBench at {path} (RNAS_SHARED names another shared folder)")
    assert pq.read_schema(path).names == list(COLUMNS)
    cells = read_cells(path)
    assert len(cells) == 110
    for cell in cells[::40]:
        with torch.device("meta"):
            network = CellNetwork(cell.genotype, 10, channels=16, cells=8)
        assert count_parameters(network) == cell.parameters_16_channels_8_cells
        assert SPACES["darts"].size(cell.genotype) == cell.parameters_36_channels_20_cells
    for cell in cells:
        assert len(cell.train_adversarial_loss) == 105
        assert cell.clean_accuracy == pytest.approx(max(cell.test_clean_accuracy), abs=1e-9)
        assert cell.last_pgd_accuracy <= cell.pgd_accuracy < cell.test_clean_accuracy[-1]
    # What the docstring says.
    assert sum(cell.test_clean_accuracy.index(max(cell.test_clean_accuracy)) < 99 for cell in cells) == 93
    assert sum(cell.last_pgd_accuracy == cell.pgd_accuracy for cell in cells) == 20
