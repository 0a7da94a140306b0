"""What are training-free scores worth? Each cell of NAS-RobBench-201 scored, and the cell that each score would choose.

    python benchmarks/scores.py --data PATH --table PATH --only synflow,parameters       all cells; resumable
    python benchmarks/scores.py --data PATH --table PATH --only nwot --cells 300         some, drawn at random
    python benchmarks/scores.py --table PATH --collect

Networks have the benchmark's width and depth (16 channels, five cells a stage) and fresh weights; images are 32 of
CIFAR-10 at 32x32. Published by others: the argmax of SynFlow has an accuracy of 47.37% under PGD at 8/255, 43.48% under
AutoAttack and 77.06% on clean images; that of NWOT 47.04% and 43.34%. The benchmark's best has 48.11%.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from rnas.commands.comparing import load_data
from rnas.data import DataConfig
from rnas.networks.nasbench201 import NasBench201Network
from rnas.progress import reporting
from rnas.run.provenance import origin
from rnas.scores import SCORES
from rnas.seeding import derive
from rnas.spaces import nasbench201
from rnas.tabular.benchmark import Benchmark

IMAGES = 32
COLUMNS = {"pgd": "cifar10/val_pgd_8_acc", "autoattack": "cifar10/autoattack", "clean": "cifar10/val_acc"}


def main() -> None:
    """Score what is not scored yet, or print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", help="CIFAR-10: cifar10, or a folder of its parquet files")
    parser.add_argument("--table", required=True, help="NAS-RobBench-201: parquet, or its results as JSON")
    parser.add_argument("--only", default=",".join(SCORES), help="scores, separated by commas")
    parser.add_argument("--cells", type=int, help="so many cells, drawn at random; all if not given")
    parser.add_argument("--csv", default="results/scores_nas_robbench_201.csv", help="where the rows go")
    parser.add_argument("--collect", action="store_true", help="print the tables of what is there")
    arguments = parser.parse_args()
    path, benchmark = Path(arguments.csv), Benchmark.load(arguments.table)
    if arguments.collect:
        collect(pd.read_csv(path), benchmark)
        return
    torch.set_num_threads(1)
    data = load_data(DataConfig(source=arguments.data, limit=1000), 0).train.select(range(IMAGES))
    images, labels, about = data.floats(), data.labels, origin("cpu")
    order = np.random.default_rng(0).permutation(len(benchmark.cells))[: arguments.cells]
    for name in arguments.only.split(","):
        found = pd.read_csv(path) if path.exists() else pd.DataFrame(columns=["score", "cell"])
        known = set(found.cell[found.score == name])
        with reporting(f"scoring by {name}", len(order)) as progress:
            rows: list[dict[str, Any]] = []
            for number, index in enumerate(order):
                if (cell := benchmark.cells[index]) not in known:
                    network = fresh(cell)
                    value = SCORES[name](network, images, labels, torch.Generator().manual_seed(0))
                    rows.append({"score": name, "cell": cell, "value": value, **about})
                if rows and (len(rows) == 100 or number + 1 == len(order)):
                    pd.DataFrame(rows).to_csv(path, mode="a", header=not path.exists(), index=False)
                    rows = []
                progress.update(number + 1)
    collect(pd.read_csv(path), benchmark)


def fresh(cell: str) -> torch.nn.Module:
    """The benchmark's network of a cell, with weights that the cell decides."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive(0, cell))
        return NasBench201Network(
            nasbench201.parse_genotype(cell),
            10,
            channels=nasbench201.CHANNELS,
            cells=nasbench201.CELLS_PER_STAGE,
            in_channels=3,
        )


def collect(rows: pd.DataFrame, benchmark: Benchmark) -> None:
    """For each score: its argmax in the benchmark, and its rank correlation with robust accuracy."""
    truth = {
        name: dict(zip(benchmark.cells, benchmark.values(column), strict=True)) for name, column in COLUMNS.items()
    }
    sizes = dict(zip(benchmark.cells, benchmark.sizes, strict=True))
    for name, group in rows.groupby("score", sort=False):
        group = group.assign(pgd=group.cell.map(truth["pgd"]), size=group.cell.map(sizes))
        best = group.loc[group.value.idxmax()].cell
        told = ", ".join(f"{key} {100 * values[best]:.2f}%" for key, values in truth.items())
        ranks = group[["value", "pgd", "size"]].rank()
        within = [
            (len(part), part.value.corr(part.pgd, method="spearman"))
            for _, part in group.groupby("size")
            if len(part) > 9 and part.value.nunique() > 1
        ]
        equal = np.average([rho for _, rho in within], weights=[count for count, _ in within]) if within else np.nan
        tau, rank = group.value.corr(group.pgd, method="kendall"), benchmark.standing(best, COLUMNS["pgd"]).rank
        print(f"{name}: the best of {len(group)} cells is {best}: {told}; rank {rank}")
        print(f"  rho {ranks.value.corr(ranks.pgd):+.2f}, tau {tau:+.2f}, rho at equal size {equal:+.2f}")


if __name__ == "__main__":
    main()
