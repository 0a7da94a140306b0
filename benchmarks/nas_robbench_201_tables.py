"""Tables and a figure of the study, from what nas_robbench_201.py and rank_correlations.py beside it have left.

    python benchmarks/nas_robbench_201_tables.py --table PATH --out runs/nas_robbench_201
    python benchmarks/nas_robbench_201_tables.py                draws and prints again what results/ holds

Writes results/nas_robbench_201.csv, one row a search, and docs/figures/nas_robbench_201.png and .svg; prints the means
in Markdown. A search with a shortlist gives a row for each rule by which a candidate can be chosen, for all of them
were measured: the lowest adversarial loss, the lowest F, or Eq. 8 (the lowest loss of the half with the lower F).
"""

from __future__ import annotations

import argparse
import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rnas.commands.benchmark import means, standings
from rnas.genotype import Genotype
from rnas.reports.benchmark import FEW
from rnas.reports.figures.palette import MODEL_COLOURS
from rnas.reports.figures.style import INK, MUTED, save, style
from rnas.reports.ledger import csv_text, recorded_origin
from rnas.run.benchmark_results import Interval
from rnas.run.manifest import read_manifest
from rnas.search.config import ShortlistConfig
from rnas.search.race import ORDERS
from rnas.tabular.benchmark import Benchmark

COLUMNS = {"robust": "cifar10/val_pgd_8_acc", "clean": "cifar10/val_acc"}
#: How the page calls a rule -> its name.
RULES = {"loss": "loss", "F": "F", "Eq. 8": "bound", "ranks": "ranks"}


def main() -> None:
    """Collect, write, draw, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", help="NAS-RobBench-201: parquet, or its results as JSON; without it no run is read")
    parser.add_argument("--out", default="runs/nas_robbench_201", help="where the runs are")
    parser.add_argument("--results", default="results", help="where tables go")
    parser.add_argument("--figures", default="docs/figures", help="where figures go")
    arguments = parser.parse_args()
    results = Path(arguments.results)
    if arguments.table is None:
        with (results / "nas_robbench_201.csv").open(encoding="utf-8", newline="") as file:
            rows = [row | {key: float(row[key]) for key in FIGURES} for row in csv.DictReader(file)]
    else:
        rows = collected(Path(arguments.out), Benchmark.load(arguments.table))
        (results / "nas_robbench_201.csv").write_text(csv_text(rows), encoding="utf-8")
    groups: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        groups.setdefault(f"{row['method']}, by {row['rule']}" if row["rule"] else row["method"], []).append(row)
    summary = {name: means([{key: row[key] for key in FIGURES} for row in group]) for name, group in groups.items()}
    for name, group in groups.items():
        if len(group) < FEW:  # an interval would say less than the values
            summary[name] = {key: Interval(value.mean) for key, value in summary[name].items()}
    print(markdown(groups, summary))
    correlations = results / "nas_robbench_201_correlations.csv"
    found = list(csv.DictReader(correlations.open(encoding="utf-8"))) if correlations.exists() else []
    save(figure(summary, found), Path(arguments.figures), "nas_robbench_201")


def collected(out: Path, benchmark: Benchmark) -> list[dict[str, Any]]:
    """The rows of all finished searches."""
    return [
        row
        for folder in sorted(out.iterdir())
        if folder.name != "alone"
        for run in sorted(folder.glob("seed-*"), key=lambda run: int(run.name.removeprefix("seed-")))
        if read_manifest(run)["finished"]
        for row in rows_of(folder.name.replace("_", " "), run, benchmark)
    ]


#: What is averaged over seeds.
FIGURES = (
    "parameters",
    "robust_accuracy",
    "robust_percentile",
    "robust_percentile_within_limit",
    "robust_percentile_at_equal_size",
    "clean_percentile",
    "passes",
)


def rows_of(method: str, run: Path, benchmark: Benchmark) -> Iterator[dict[str, Any]]:
    """A search's row, or a row for each rule where it has a shortlist."""
    manifest = read_manifest(run)
    search = manifest["config"]["search"]
    results = json.loads((run / "results.json").read_text(encoding="utf-8"))
    candidates = results["candidates"]
    genotypes = {"": Genotype.load(run / "genotype.json")}
    if candidates:
        genotypes = {
            called: Genotype.load(
                run / "candidates" / str(ORDERS[rule](candidates, ShortlistConfig())[0]) / "genotype.json"
            )
            for called, rule in RULES.items()
        }
    for rule, genotype in genotypes.items():
        yield {
            "method": method,
            "rule": rule,
            "algorithm": search["algorithm"],
            "metric": search["constraint"]["metric"],
            "H": search["constraint"]["bound"] if results["H"] is not None else "",
            "candidates": max(1, len(candidates)),
            "size_limit": results["size_limit"],
            **standings(benchmark, genotype, COLUMNS, results["size_limit"]),
            "passes": results["passes"],
            **recorded_origin(manifest),
        }


def markdown(groups: dict[str, list[dict[str, Any]]], summary: dict[str, dict[str, Interval]]) -> str:
    """The means with half of their 95% intervals, where there are seeds enough for one."""

    def cell(name: str, key: str) -> str:
        value = summary[name][key]
        return f"{value.mean:.1f}{'' if value.half is None else f' +- {value.half:.1f}'}"

    lines = [
        "| method | searches | in the limit | of equal size | among all | clean, among all | parameters | passes |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for name in sorted(summary, key=lambda name: -summary[name]["robust_percentile_within_limit"].mean):
        figures = " | ".join(cell(name, f"robust_percentile{part}") for part in ("_within_limit", "_at_equal_size", ""))
        parameters, passes = (summary[name][key].mean for key in ("parameters", "passes"))
        lines.append(
            f"| {name} | {len(groups[name])} | {figures} | {cell(name, 'clean_percentile')} "
            f"| {parameters:,.0f} | {passes:,.0f} |"
        )
    return "\n".join(lines)


def figure(summary: dict[str, dict[str, Interval]], correlations: list[dict[str, str]]) -> Figure:
    """Percentiles of the methods on the left, rank correlations of the measures on the right."""
    names = sorted(summary, key=lambda name: summary[name]["robust_percentile_within_limit"].mean)
    with style():
        drawn = Figure(figsize=(11, 0.34 * len(names) + 1.9), layout="constrained")
        left, right = drawn.subplots(1, 2, width_ratios=(1, 0.9))
        parts = (
            ("_within_limit", "within the size limit", "o", 0.1),
            ("_at_equal_size", "of exactly its own size", "s", -0.1),
        )
        for (part, label, marker, shift), colour in zip(parts, MODEL_COLOURS, strict=False):
            values = [summary[name][f"robust_percentile{part}"] for name in names]
            middle = np.array([value.mean for value in values])
            spread = np.array([value.half or 0.0 for value in values])
            # A percentile ends at 0 and 100, Student's interval does not.
            ends = np.stack([np.minimum(spread, middle), np.minimum(spread, 100 - middle)])
            heights = np.arange(len(names)) + shift
            left.errorbar(
                middle, heights, xerr=ends, fmt=marker, color=colour, label=f"among cells {label}", markersize=5
            )
        left.set_yticks(range(len(names)), names)
        left.tick_params(axis="y", length=0, labelcolor=INK)
        left.set_xlim(-2, 102)
        left.set_ylim(-0.6, len(names) - 0.4)
        left.set_xlabel("percentile of the found cell's PGD-8 accuracy\n(bar: 95% interval over seeds)")
        left.set_title("Where the cells that each method found stand", pad=34)
        left.legend(loc="lower left", bbox_to_anchor=(-0.02, 1), labelspacing=0.2)
        better(left, 75, 100, "better")
        draw_correlations(right, correlations)
    return drawn


def better(axes: Axes, start: float, end: float, words: str) -> None:
    """An arrow above a panel, in the direction in which results are better."""
    arrow = {"arrowstyle": "-|>", "color": MUTED, "shrinkA": 0, "shrinkB": 0}
    axes.annotate("", (end, 1.012), (start, 1.012), xycoords=("data", "axes fraction"), arrowprops=arrow)
    above = axes.get_xaxis_transform()
    axes.text((start + end) / 2, 1.018, words, transform=above, ha="center", fontsize=8, color=MUTED)


def draw_correlations(axes: Axes, correlations: list[dict[str, str]]) -> None:
    """One dot a measure and source of weights: Spearman's rho at equal parameter count, the mean over seeds."""
    values: dict[tuple[str, str], list[float]] = {}
    for row in correlations:
        if row["spearman_rho_at_equal_size"]:
            key = (row["measure"], row["weights"])
            values.setdefault(key, []).append(float(row["spearman_rho_at_equal_size"]))
    measures = list(dict.fromkeys(measure for measure, _ in values))[::-1]
    sources = list(dict.fromkeys(source for _, source in values))
    for index, source in enumerate(sources):
        points = [np.mean(values[measure, source]) for measure in measures]
        axes.plot(points, range(len(measures)), "osD"[index], color=MODEL_COLOURS[index], label=source)
    axes.axvline(0, color=MUTED, linewidth=0.8)
    axes.set_yticks(range(len(measures)), measures)
    axes.tick_params(axis="y", length=0, labelcolor=INK)
    axes.set_xlim(-1, 1)
    axes.set_xlabel("Spearman's rho with the true PGD-8 accuracy,\nat equal size")
    axes.set_title("What each measure of a cell is worth", pad=34)
    better(axes, -0.08, -0.95, "better: losses, F")
    better(axes, 0.08, 0.95, "better: accuracies")
    if sources:
        axes.legend(
            loc="lower right", bbox_to_anchor=(1, 0.06), title="with the weights of", fontsize=8, title_fontsize=8
        )


if __name__ == "__main__":
    main()
