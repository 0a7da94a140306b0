"""A search put to the test: repeated over seeds, its found cells looked up in NAS-RobBench-201."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import NoneType
from typing import Any

import numpy as np
from scipy.stats import t as student

from rnas.commands.config import BenchmarkCommand, SearchCommand
from rnas.commands.search import run_search
from rnas.commands.stage import stage
from rnas.documents import check_fields
from rnas.errors import ConfigError, RunError
from rnas.genotype import Genotype
from rnas.reports.benchmark import COLUMNS, EQUAL_SIZE
from rnas.reports.ledger import csv_text, recorded_origin
from rnas.run.files import read_summary, refuse_link
from rnas.run.manifest import read_manifest
from rnas.run.search_results import read_search_results
from rnas.spaces import nasbench201
from rnas.tabular.benchmark import Benchmark

__all__ = ["means", "run_benchmark", "standings"]

#: What every version has written of a search.
WRITTEN = [name for name in COLUMNS if name != EQUAL_SIZE]


def run_benchmark(command: BenchmarkCommand) -> dict[str, Any]:
    """Search once for each seed and compare what is found with all cells of the benchmark.

    Writes results.json and benchmark.csv into the run directory, and each search into a folder below it; searches that
    are finished are not repeated.

    Returns:
        The content of results.json: "searches", one entry a seed, and "means", with the mean of each figure over the
        seeds and the ends of its 95% interval (Student's t), null with one seed.

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
        if not run.complete(read_benchmark):
            seeds = range(command.seed, command.seed + command.seeds)
            searches = [search_once(command, seed, benchmark) for seed in seeds]
            document = {"searches": searches, "means": means(searches)}
            manifests = [read_manifest(run.path / f"seed-{search['seed']}") for search in searches]
            rows = [search | recorded_origin(manifest) for search, manifest in zip(searches, manifests, strict=True)]
            run.write("benchmark.csv", csv_text(rows))
            run.write_json("results.json", document)
            run.finish()
    return read_benchmark(Path(command.out))


def read_benchmark(folder: Path) -> dict[str, Any]:
    """The results of a benchmark; raises RunError if they are missing or damaged."""
    where = str(folder / "results.json")
    document = read_summary(folder, {"searches": (list,), "means": (dict,)})
    for search in document["searches"]:
        check_fields({"search": search}, {"search": (dict,)}, where)
        check_fields(search, {"algorithm": (str,), "seed": (int,), **dict.fromkeys(WRITTEN, (int, float))}, where)
        check_fields(search, {EQUAL_SIZE: (int, float, NoneType)}, where)
    check_fields(document["means"], {**dict.fromkeys(WRITTEN, (dict,)), EQUAL_SIZE: (dict, NoneType)}, where)
    ends = (int, float) if len(document["searches"]) > 1 else (int, float, NoneType)
    for mean in document["means"].values():
        check_fields({"mean": mean}, {"mean": (dict,)}, where)
        check_fields(mean, {"mean": (int, float), "low": ends, "high": ends}, where)
    if not document["searches"]:
        raise RunError(f"{where} is damaged: it has no searches")
    return document


def search_once(command: BenchmarkCommand, seed: int, benchmark: Benchmark) -> dict[str, Any]:
    """What one search found and where it stands."""
    settings = {**command.run_settings(), "seed": seed}
    out = Path(command.out) / f"seed-{seed}"
    refuse_link(out)
    folder = run_search(SearchCommand(out=str(out), data=command.data, search=command.search, **settings))
    genotype = Genotype.load(folder / "genotype.json")
    results = read_search_results(folder)
    columns = {"robust": command.column, "clean": command.clean_column}
    return {
        "algorithm": command.search.algorithm,
        "seed": seed,
        **standings(benchmark, genotype, columns, results.size_limit),
        "passes": results.passes,
    }


def standings(
    benchmark: Benchmark, genotype: Genotype, columns: Mapping[str, str], at_most: int | None
) -> dict[str, Any]:
    """Where a cell stands by each measure: among all cells, within the size limit, and among those of its size.

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


def means(searches: list[dict[str, Any]]) -> dict[str, dict[str, float | None]]:
    """Mean and 95% interval of every figure but the seed."""
    summary = {}
    for key, value in searches[0].items():
        if isinstance(value, str) or key == "seed":
            continue
        values = np.array([search[key] for search in searches], dtype=np.float64)
        half = None
        if len(values) > 1:
            half = float(student.ppf(0.975, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values)))
        mean = float(values.mean())
        summary[key] = {
            "mean": mean,
            "low": None if half is None else mean - half,
            "high": None if half is None else mean + half,
        }
    return summary
