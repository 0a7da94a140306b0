"""A search put to the test: repeated over seeds, its found cells looked up in NAS-RobBench-201."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import t as student

from rnas.commands.config import BenchmarkCommand, SearchCommand
from rnas.commands.search import run_search
from rnas.commands.stage import stage
from rnas.errors import ConfigError
from rnas.genotype import Genotype
from rnas.reports.ledger import csv_text, recorded_origin
from rnas.run.benchmark_results import BenchmarkResults, FoundCell, Interval, read_benchmark_results
from rnas.run.files import refuse_link
from rnas.run.manifest import read_manifest
from rnas.run.search_results import read_search_results
from rnas.spaces import nasbench201
from rnas.tabular.benchmark import Benchmark

__all__ = ["means", "run_benchmark", "standings"]


def run_benchmark(command: BenchmarkCommand) -> BenchmarkResults:
    """Search once for each seed and compare what is found with all cells of the benchmark.

    Writes results.json and benchmark.csv into the run directory, and each search into a folder below it; searches that
    are finished are not repeated.

    Args:
        command: the search, the benchmark's table, and how many seeds.

    Raises:
        ConfigError: if no table is given, or the search is not in the benchmark's space.
        DataError: if the table cannot be read or has no such columns.
    """
    if command.table is None:
        raise ConfigError("table: expected the path of NAS-RobBench-201, a parquet file or its results' JSON file")
    if command.search.space != (expected := nasbench201.NAME):
        raise ConfigError(f"search.space: expected {expected}, the benchmark's space, got {command.search.space!r}")
    benchmark = Benchmark.load(command.table)
    for column in (command.column, command.clean_column):
        benchmark.values(column)  # before the searches, not after
    with stage(command, "benchmark") as (run, _):
        if not run.complete(read_benchmark_results):
            seeds = range(command.seed, command.seed + command.seeds)
            searches = [search_once(command, seed, benchmark) for seed in seeds]
            origins = [recorded_origin(read_manifest(run.path / f"seed-{search.seed}")) for search in searches]
            rows = [search.to_json() | origin for search, origin in zip(searches, origins, strict=True)]
            run.write("benchmark.csv", csv_text(rows))
            results = BenchmarkResults(tuple(searches), means([search.figures() for search in searches]))
            run.write_json("results.json", results.to_json())
            run.finish()
    return read_benchmark_results(Path(command.out))


def search_once(command: BenchmarkCommand, seed: int, benchmark: Benchmark) -> FoundCell:
    """Search once; return the found cell and where it stands."""
    settings = {**command.run_settings(), "seed": seed}
    out = Path(command.out) / f"seed-{seed}"
    refuse_link(out)
    folder = run_search(SearchCommand(out=str(out), data=command.data, search=command.search, **settings))
    genotype = Genotype.load(folder / "genotype.json")
    results = read_search_results(folder)
    columns = {"robust": command.column, "clean": command.clean_column}
    return FoundCell(
        algorithm=command.search.algorithm,
        seed=seed,
        passes=results.passes,
        **standings(benchmark, genotype, columns, results.size_limit),
    )


def standings(
    benchmark: Benchmark, genotype: Genotype, columns: Mapping[str, str], at_most: int | None
) -> dict[str, Any]:
    """Where a cell stands by each measure, under the names of `rnas.run.benchmark_results.FoundCell`.

    Args:
        benchmark: the ground truth.
        genotype: a cell of the space.
        columns: a short name -> the benchmark's column.
        at_most: the size limit in parameters; None for none.
    """
    cell = nasbench201.format_genotype(genotype)
    found: dict[str, Any] = {"cell": cell, "parameters": benchmark.parameters(cell)}
    for name, column in columns.items():
        overall = benchmark.standing(cell, column)
        found |= {
            f"{name}_accuracy": overall.accuracy,
            f"{name}_rank": overall.rank,
            f"{name}_percentile": overall.percentile,
            f"{name}_percentile_within_limit": benchmark.standing(cell, column, at_most=at_most).percentile,
            f"{name}_percentile_at_its_size": benchmark.standing_at_its_size(cell, column).percentile,
            f"{name}_percentile_at_equal_size": benchmark.standing_at_equal_size(cell, column).percentile,
        }
    return found


def means(figures: Sequence[Mapping[str, float]]) -> dict[str, Interval]:
    """Mean and 95% interval of every figure over seeds.

    Args:
        figures: of each seed, by name; all have the same names.
    """
    summary = {}
    for name in figures[0]:
        values = np.array([seed[name] for seed in figures], dtype=np.float64)
        mean = float(values.mean())
        summary[name] = Interval(mean)
        if len(values) > 1:
            half = float(student.ppf(0.975, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values)))
            summary[name] = Interval(mean, mean - half, mean + half)
    return summary
