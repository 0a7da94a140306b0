"""Networks, supernets, losses, attacks and corruptions beside the code of those who published them.

    python benchmarks/authors.py FOLDER ... [--packages FOLDER] [--seed 0] [--csv FILE]

Each FOLDER is a checkout of one of the repositories below, got by yourself: nothing is fetched, and nothing of theirs
is kept here. Of their files only functions, classes and constants are taken, by name and without their imports; what
those ask of a GPU, of mixed precision or of a logger is given a stand-in. That runs their code: read it first.

    quark0/darts, hye999/RNAS, gmh14/RobNets, D-X-Y/AutoDL-Projects, yaodongyu/TRADES, YisenWang/MART,
    locuslab/fast_adversarial, fra31/auto-attack, hendrycks/robustness

The corruptions also need what they are made with, in --packages, outside the environment:

    pip install --no-deps --target FOLDER opencv-python-headless scikit-image lazy-loader imageio

Both sides get the same weights, images and random numbers, in float64 where their code allows it. A difference is the
largest one, relative to the largest value of theirs; of corruptions, whose results lie in [0, 1], it is absolute.
Corruptions that draw random numbers are compared by the deviation of what they add, fog by the root mean square
difference of neighbouring pixels. A row without a bound is a deviation that a docstring names. The exit code is 1 if a
difference is above its bound.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from authors_files import Report, stand_ins
from authors_networks import compare_darts, compare_nasbench201, compare_rnas, compare_robnets
from authors_training import compare_autoattack, compare_corruptions, compare_fast_at, compare_mart, compare_trades
from rich.console import Console
from rich.table import Table

from rnas.reports.ledger import csv_text
from rnas.run.files import write_atomically
from rnas.run.provenance import origin

#: A repository, a file that tells it, and what to compare.
REPOSITORIES: list[tuple[str, str, Callable[[Report, Path], None]]] = [
    ("quark0/darts", "cnn/model_search.py", compare_darts),
    ("hye999/RNAS", "RNAS_training.py", compare_rnas),
    ("gmh14/RobNets", "architecture_code.py", compare_robnets),
    ("D-X-Y/AutoDL-Projects", "xautodl/models/cell_operations.py", compare_nasbench201),
    ("yaodongyu/TRADES", "trades.py", compare_trades),
    ("YisenWang/MART", "mart.py", compare_mart),
    ("locuslab/fast_adversarial", "CIFAR10/train_fgsm.py", compare_fast_at),
    ("fra31/auto-attack", "autoattack/autoattack.py", compare_autoattack),
    ("hendrycks/robustness", "ImageNet-C/create_c/make_cifar_c.py", compare_corruptions),
]


def revision(folder: Path) -> str:
    """The commit of a checkout; empty where it is none."""
    answer = subprocess.run(
        ["git", "-C", str(folder), "rev-parse", "HEAD"], capture_output=True, text=True, check=False
    )
    return answer.stdout.strip() if (folder / ".git").exists() else ""


def main() -> None:
    """Compare, print, and write the rows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", type=Path, nargs="+", metavar="FOLDER", help="a checkout of one of the repositories")
    parser.add_argument("--packages", type=Path, help="folder with OpenCV and scikit-image")
    parser.add_argument("--seed", type=int, default=0, help="of weights, images and random numbers")
    parser.add_argument("--csv", type=Path, help="where to write the rows")
    arguments = parser.parse_args()
    if arguments.packages:
        sys.path.append(str(arguments.packages))
    rows: list[dict[str, Any]] = []
    for folder in arguments.folders:
        known = [entry for entry in REPOSITORIES if (folder / entry[1]).is_file()]
        if not known:
            sys.exit(f"{folder}: expected one of {', '.join(name for name, *_ in REPOSITORIES)}")
        name, _, compare = known[0]
        report = Report(name, revision(folder), arguments.seed)
        with stand_ins():
            torch.manual_seed(arguments.seed)
            compare(report, folder)
        rows += report.rows
    table = Table("repository", "subject", "compared", "difference", "at most", title="Differences from authors' code")
    for row in rows:
        bound = "named" if row["at_most"] is None else f"{row['at_most']:.0e}"
        table.add_row(row["repository"], row["subject"], row["compared"], f"{row['difference']:.1e}", bound)
    Console().print(table)
    if arguments.csv:
        write_atomically(arguments.csv, csv_text([{**row, **origin("cpu")} for row in rows]))
    if apart := [row for row in rows if row["at_most"] is not None and not row["difference"] <= row["at_most"]]:
        lines = [f"{row['repository']}, {row['subject']}, {row['compared']}: {row['difference']:.3g}" for row in apart]
        sys.exit("\n".join(lines))


if __name__ == "__main__":
    main()
