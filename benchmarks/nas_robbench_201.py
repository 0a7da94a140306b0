"""The study of docs/nas_robbench_201.md: every search at the same cost, put to the test on NAS-RobBench-201.

    python benchmarks/nas_robbench_201.py --data PATH --table PATH            all of it, resumable; hours on one core
    python benchmarks/nas_robbench_201.py --data PATH --table PATH --only gdas  one method; others can run beside it
    python benchmarks/nas_robbench_201.py --data PATH --table PATH --collect  tables and figures from what is finished

CIFAR-10 at 16x16 pixels, 10,000 images; supernets and short trainings with 8 channels and one cell a stage, PGD-2. A
method is a change of the defaults of `rnas benchmark`, so each can also be run by hand:

    rnas benchmark gdas_rnas --search.constraint.metric gaussian_kl --data PATH --table PATH

The correlations are those of measures on cells of all sizes with the PGD-8 accuracy of the benchmark: of cells trained
alone for two epochs, and of cells with the weights of a supernet.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from rnas.commands import BenchmarkCommand, run_benchmark
from rnas.search import SearchConfig

SEEDS = 3
#: Of those that cost little, and of the two that the others have to beat.
MORE_SEEDS = {
    "alone": 1,
    "random": 20,
    "largest": 20,
    "random + shortlist": 6,
    "largest + shortlist": 6,
    "random + shortlist of 12": 12,
    "largest + shortlist of 12": 12,
    "near the limit + 24 of two cells": 10,
}
#: Cells of all sizes that are trained alone, for the correlations.
ALONE = 60


def methods() -> dict[str, SearchConfig]:
    """The searches, all of about 3,200 passes but for the two that cost nothing."""
    base = BenchmarkCommand().search
    # Without a projection the whole epoch but a tenth alternates, which costs as much as a projection.
    free = replace(base, unconstrained_fraction=0.9)
    literal = replace(base.constraint, metric="kl_per_position")
    gaussian = replace(base.constraint, metric="gaussian_kl")
    # Half of the passes for the search, half for the candidates.
    short = replace(base, epochs=4, warmup_epochs=1, shortlist=replace(base.shortlist, count=3))
    six = replace(base.shortlist, count=6)
    twelve = replace(base.shortlist, count=12, epochs=1)
    return {
        "random": replace(base, algorithm="random"),
        "largest": replace(base, algorithm="largest"),
        "random + shortlist": replace(base, algorithm="random", shortlist=six),
        "largest + shortlist": replace(base, algorithm="largest", shortlist=six),
        "random + shortlist of 12": replace(base, algorithm="random", shortlist=twelve),
        "largest + shortlist of 12": replace(base, algorithm="largest", shortlist=twelve),
        # About 7,900 passes through networks of two cells a stage: the first of the searches that cost more.
        "near the limit + 24 of two cells": replace(
            base,
            algorithm="random",
            shortlist=replace(base.shortlist, count=24, epochs=1, rule="ranks", cells=2, least_size="75%", images=1024),
        ),
        # A clean step costs two passes, an adversarial one seven.
        "darts": replace(free, algorithm="darts", epochs=26, warmup_epochs=6),
        "adversarial_darts": replace(free, algorithm="adversarial_darts"),
        "rnas": replace(base, algorithm="rnas", constraint=literal),
        "rnas, gaussian_kl": replace(base, algorithm="rnas", constraint=gaussian),
        "gdas": replace(free, algorithm="gdas"),
        "gdas_rnas": replace(base, algorithm="gdas_rnas", constraint=literal),
        "gdas_rnas, gaussian_kl": replace(base, algorithm="gdas_rnas", constraint=gaussian),
        "gdas_rnas, gaussian_kl, H = 40%": replace(
            base, algorithm="gdas_rnas", constraint=replace(gaussian, bound="40%")
        ),
        "gdas + shortlist": replace(short, algorithm="gdas", unconstrained_fraction=0.9),
        "gdas_rnas, gaussian_kl + shortlist": replace(short, algorithm="gdas_rnas", constraint=gaussian),
        # Not a search: cells of all sizes for the correlations.
        "alone": replace(
            base, algorithm="random", size_limit=None, shortlist=replace(base.shortlist, count=ALONE, keep=1.0)
        ),
    }


def main() -> None:
    """Run what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, help="CIFAR-10: cifar10, or a folder of its parquet files")
    parser.add_argument("--table", required=True, help="NAS-RobBench-201: parquet, or its results as JSON")
    parser.add_argument("--out", default="runs/nas_robbench_201", help="where runs go")
    parser.add_argument("--only", nargs="*", default=None, help="names of methods; all if not given")
    arguments = parser.parse_args()
    for name, search in methods().items():
        if arguments.only is not None and name not in arguments.only:
            continue
        default = BenchmarkCommand()
        seeds = MORE_SEEDS.get(name, SEEDS)
        means = run_benchmark(
            replace(
                default,
                out=str(Path(arguments.out) / name.replace(" ", "_").replace(",", "").replace("%", "")),
                data=replace(default.data, source=arguments.data),
                table=arguments.table,
                search=search,
                seeds=seeds,
                threads=1,
            )
        ).means
        print(
            f"{name}: percentile {means['robust_percentile'].mean:.1f}, "
            f"at its size {means['robust_percentile_at_its_size'].mean:.1f}, passes {means['passes'].mean:.0f}"
        )


if __name__ == "__main__":
    main()
