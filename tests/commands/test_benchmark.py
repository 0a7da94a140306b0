"""A search put to the test on a made-up benchmark in which the size of a cell is its robust accuracy."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from scipy.stats import t as student

from rnas.cli import main
from rnas.commands import BenchmarkCommand, benchmark, run_benchmark
from rnas.commands.benchmark import means
from rnas.config import PgdConfig
from rnas.data.config import DataConfig
from rnas.errors import ConfigError, DataError
from rnas.run.benchmark_results import Interval
from rnas.search.config import ShortlistConfig
from rnas.spaces import nasbench201
from rnas.tabular.benchmark import Benchmark


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every cell; equal networks are one class. PGD accuracy grows with the size, clean accuracy falls."""
    cells = list(nasbench201.all_cells())
    whole = [nasbench201.without_dead_edges(cell) for cell in cells]
    sizes = [nasbench201.count_parameters(cell) / 2e6 for cell in whole]
    path = tmp_path_factory.mktemp("table") / "made_up.parquet"
    columns = {
        "arch": [nasbench201.format_operations(cell) for cell in cells],
        "arch_id": list(range(len(cells))),
        "isomorph_id": [cells.index(cell) for cell in whole],
        "cifar10/val_pgd_8_acc": sizes,
        "cifar10/val_acc": [1 - size for size in sizes],
    }
    pq.write_table(pa.table(columns), path)
    return path


def command(out: Path, table: Path, **changes: Any) -> BenchmarkCommand:
    default = BenchmarkCommand()
    search = replace(
        default.search,
        channels=2,
        epochs=2,
        warmup_epochs=1,
        batch_size=16,
        attack=PgdConfig(steps=1),
        constraint=replace(default.search.constraint, images=16),
        shortlist=ShortlistConfig(),
        **changes,
    )
    return BenchmarkCommand(
        out=str(out), data=DataConfig("digits", limit=40), search=search, table=str(table), seeds=2, threads=1
    )


def test_the_largest_cell_stands_at_the_top(tmp_path: Path, table: Path) -> None:
    results = run_benchmark(command(tmp_path / "run", table, algorithm="largest", size_limit=None))
    cells = len(Benchmark.load(table).cells)
    for search in results.searches:
        assert search.parameters == nasbench201.count_parameters(["nor_conv_3x3"] * 6)
        assert search.robust_rank == 1
        # Half of itself is not worse.
        assert search.robust_percentile == pytest.approx(100 * (1 - 0.5 / cells))
        assert search.robust_percentile_at_its_size == search.robust_percentile
        assert search.clean_rank == cells
    assert results.means["robust_percentile"].low == results.means["robust_percentile"].high


def test_a_limit_makes_a_smaller_world(tmp_path: Path, table: Path) -> None:
    (search, _) = run_benchmark(command(tmp_path / "run", table, algorithm="largest", size_limit="40%")).searches
    assert search.robust_percentile < 90
    assert search.robust_percentile_within_limit == search.robust_percentile_at_its_size > 90


def test_seeds_are_searches_of_their_own_and_nothing_finished_is_repeated(
    tmp_path: Path, table: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = command(tmp_path / "run", table, algorithm="rnas")
    results = run_benchmark(settings)
    assert [search.seed for search in results.searches] == [0, 1]
    passes = [json.loads((tmp_path / "run" / f"seed-{seed}" / "results.json").read_text())["passes"] for seed in (0, 1)]
    assert [search.passes for search in results.searches] == passes
    assert all(count > 0 for count in passes)
    rows = (tmp_path / "run" / "benchmark.csv").read_text().splitlines()
    assert len(rows) == 3
    assert "commit" in rows[0]
    monkeypatch.delattr(benchmark, "run_search")
    assert run_benchmark(settings) == results


def test_intervals_are_students() -> None:
    found = means([{"figure": value} for value in (1.0, 2.0, 6.0)])
    assert set(found) == {"figure"}
    half = student.ppf(0.975, 2) * (7 / 3) ** 0.5  # the variance of the mean: (4 + 1 + 9) / 2 / 3
    assert found["figure"].mean == 3
    assert found["figure"].high == pytest.approx(3 + half)
    assert found["figure"].half == pytest.approx(half)
    assert means([{"figure": 1.0}])["figure"] == Interval(1.0, None, None)


def test_the_command_prints_the_table(tmp_path: Path, table: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["benchmark", "random", "--table", str(table), "--data", "digits", "--data.pixels", "null"]
    assert main([*words, "--data.limit", "40", "--out", str(tmp_path / "run")]) == 0
    printed = capsys.readouterr().out
    assert "random on NAS-RobBench-201" in printed
    assert "mean" in printed


def test_wrong_settings_are_told_before_any_search(tmp_path: Path, table: Path) -> None:
    good = command(tmp_path / "run", table)
    for changes, message in (
        ({"table": None}, "table: expected the path of NAS-RobBench-201"),
        ({"search": replace(good.search, space="darts", cells=3)}, "search.space: expected nasbench201"),
    ):
        with pytest.raises(ConfigError, match=message):
            run_benchmark(replace(good, **changes))
    with pytest.raises(DataError, match="no column 'cifar10/val_pgd'"):
        run_benchmark(replace(good, column="cifar10/val_pgd"))
    assert not (tmp_path / "run").exists()
