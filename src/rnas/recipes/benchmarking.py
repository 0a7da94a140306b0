"""A search put to the test: repeated over seeds, its found cells looked up in NAS-RobBench-201."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import t as student

from rnas.errors import ConfigError
from rnas.evaluation.tabular import Benchmark
from rnas.genotype import Genotype
from rnas.recipes.config import BenchmarkCommand, SearchCommand
from rnas.recipes.stages import run_search, stage
from rnas.reports.ledger import csv_text, provenance
from rnas.runs import read_manifest
from rnas.spaces import nasbench201

__all__ = ["run_benchmark"]


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
    if command.search.space != "nasbench201":
        raise ConfigError(f"search.space: expected nasbench201, the benchmark's space, got {command.search.space!r}")
    benchmark = Benchmark.load(command.table)
    for column in (command.column, command.clean_column):
        benchmark.values(column)  # before the searches, not after
    with stage(command, "benchmark") as (run, _):
        if not run.finished:
            seeds = range(command.seed, command.seed + command.seeds)
            searches = [search_once(command, seed, benchmark) for seed in seeds]
            document = {"searches": searches, "means": means(searches)}
            manifests = [read_manifest(run.path / f"seed-{search['seed']}") for search in searches]
            rows = [search | provenance(manifest) for search, manifest in zip(searches, manifests, strict=True)]
            run.write("benchmark.csv", csv_text(rows))
            run.write_json("results.json", document)
            run.finish()
    return json.loads((Path(command.out) / "results.json").read_text(encoding="utf-8"))


def search_once(command: BenchmarkCommand, seed: int, benchmark: Benchmark) -> dict[str, Any]:
    """What one search found and where it stands."""
    settings = {key: getattr(command, key) for key in ("device", "checkpoint_every", "threads", "data", "search")}
    folder = run_search(SearchCommand(out=str(Path(command.out) / f"seed-{seed}"), seed=seed, **settings))
    genotype = Genotype.load(folder / "genotype.json")
    results = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    robust = benchmark.standing(genotype, command.column)
    clean = benchmark.standing(genotype, command.clean_column)
    return {
        "algorithm": command.search.algorithm,
        "seed": seed,
        "cell": nasbench201.format_genotype(genotype),
        "parameters": robust.parameters,
        "robust_accuracy": robust.accuracy,
        "robust_rank": robust.rank,
        "robust_percentile": robust.percentile,
        "robust_percentile_at_its_size": benchmark.standing_at_its_size(genotype, command.column).percentile,
        "clean_accuracy": clean.accuracy,
        "clean_percentile": clean.percentile,
        "clean_percentile_at_its_size": benchmark.standing_at_its_size(genotype, command.clean_column).percentile,
        "passes": results["passes"],
    }


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
