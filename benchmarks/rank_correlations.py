"""Which measure orders cells as their true robust accuracy does? A part of the study in benchmarks/nas_robbench_201.py.

    python benchmarks/rank_correlations.py --data PATH --table PATH --out runs/nas_robbench_201 --csv FILE

Reads what that script has left in OUT. The same cells of all sizes, the candidates of its run "alone", are measured

- with the weights of their own short training ("alone"),
- with the weights of a supernet trained as a mixture ("mixture", the searches of adversarial_darts),
- with the weights of a supernet trained on sampled paths ("paths", the searches of gdas),

each on 256 images of the search's validation half under PGD-2. Kendall's tau and Spearman's rho are with the PGD-8
accuracy of the benchmark; the partial correlation is Spearman's at equal parameter count: the correlation of what is
left of both ranks after a linear fit to the ranks of the parameter counts.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import kendalltau, rankdata, spearmanr
from torch import Tensor, nn
from torch.nn import functional as F

from rnas.attacks import pgd_linf
from rnas.attacks.guards import evaluation_mode
from rnas.commands.comparing import load_data
from rnas.data import DataConfig, LabelledImages
from rnas.genotype import Genotype
from rnas.models.spec import load_network
from rnas.progress import reporting
from rnas.reports.ledger import csv_text
from rnas.run.checkpoints import load_checkpoint
from rnas.run.manifest import read_manifest
from rnas.run.provenance import origin
from rnas.spaces import nasbench201
from rnas.supernets.base import SupernetAt
from rnas.supernets.nasbench201.supernet import NasBench201Supernet
from rnas.tabular.benchmark import Benchmark
from rnas.vulnerability.metrics import METRICS, network_vulnerability

COLUMN = "cifar10/val_pgd_8_acc"
IMAGES = 256
BATCH = 64


class Source(NamedTuple):
    """Where weights come from: a name, the seed, and a network for each cell."""

    name: str
    seed: int
    networks: list[nn.Module]


def main() -> None:
    """Measure, correlate, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, help="CIFAR-10: cifar10, or a folder of its parquet files")
    parser.add_argument("--table", required=True, help="NAS-RobBench-201: parquet, or its results as JSON")
    parser.add_argument("--out", default="runs/nas_robbench_201", help="where the runs are")
    parser.add_argument("--csv", default="results/nas_robbench_201_correlations.csv", help="what to write")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    out, benchmark = Path(arguments.out), Benchmark.load(arguments.table)
    folders = sorted((out / "alone" / "seed-0" / "candidates").iterdir(), key=lambda folder: int(folder.name))
    cells = [Genotype.load(folder / "genotype.json") for folder in folders]
    truth = np.array([benchmark.accuracy(cell, COLUMN) for cell in cells])
    sizes = np.array([benchmark.parameters(cell) for cell in cells], dtype=np.float64)
    images = validation_images(out / "alone" / "seed-0", arguments.data)
    rows = [row("none", 0, "parameters", sizes, truth, sizes)]
    for source in sources(out, cells, folders):
        values: dict[str, list[float]] = {}
        with reporting(f"measuring {source.name} {source.seed}", len(cells)) as progress:
            for index, network in enumerate(source.networks):
                for name, value in measure(network, images).items():
                    values.setdefault(name, []).append(value)
                progress.update(index + 1)
        rows += [row(source.name, source.seed, name, np.array(found), truth, sizes) for name, found in values.items()]
    Path(arguments.csv).write_text(csv_text([{**found, **origin("cpu")} for found in rows]), encoding="utf-8")
    print(f"written: {arguments.csv}")


def validation_images(run: Path, source: str) -> LabelledImages:
    """Images that no search with this seed has trained weights on."""
    manifest = read_manifest(run)
    data = load_data(DataConfig(**{**manifest["config"]["data"], "source": source}), manifest["seed"])
    split = json.loads((run / "splits.json").read_text(encoding="utf-8"))
    return data.train.select(split["alpha"][:IMAGES])


def sources(out: Path, cells: list[Genotype], folders: list[Path]) -> Iterator[Source]:
    """The cells trained alone, then with the weights of each supernet."""
    yield Source("alone", 0, [load_network(folder) for folder in folders])
    for name, method in (("mixture", "adversarial_darts"), ("paths", "gdas")):
        for seed, run in enumerate(sorted((out / method).glob("seed-*"))):
            settings = read_manifest(run)["config"]["search"]
            supernet = NasBench201Supernet(10, channels=settings["channels"], cells=settings["cells"])
            supernet.restore(load_checkpoint(run / "checkpoint.pt")["supernet"])
            yield Source(name, seed, [SupernetAt(supernet, path(cell)) for cell in cells])


def path(cell: Genotype) -> Tensor:
    """The weights of a supernet's operations that make it the cell."""
    weights = torch.zeros(NasBench201Supernet.alpha_shape)
    for edge, name in enumerate(nasbench201.operations_of(cell)):
        weights[0, edge, nasbench201.OPERATIONS.index(name)] = 1
    return weights


def measure(network: nn.Module, images: LabelledImages) -> dict[str, float]:
    """Losses, accuracies and every metric of the vulnerability."""
    layers = [name for name, _ in network.named_modules() if name.split(".")[-2:-1] == ["cells"]]
    generator = torch.Generator().manual_seed(0)
    totals: dict[str, float] = {}
    with evaluation_mode(network):
        for start in range(0, len(images), BATCH):
            part = images.select(range(start, min(start + BATCH, len(images))))
            clean, labels = part.floats(), part.labels
            adversarial = pgd_linf(network, clean, labels, eps=8 / 255, step_size=4 / 255, steps=2, generator=generator)
            with torch.no_grad():
                found: dict[str, float] = {}
                for name, logits in (("clean", network(clean)), ("adversarial", network(adversarial))):
                    found[f"{name} loss"] = float(F.cross_entropy(logits, labels))
                    found[f"{name} accuracy"] = float((logits.argmax(dim=1) == labels).float().mean())
                for metric in METRICS:
                    found[metric] = float(network_vulnerability(network, layers, clean, adversarial, metric=metric))
            for name, value in found.items():
                totals[name] = totals.get(name, 0.0) + value * len(part) / len(images)
    return totals


def at_equal_size(values: NDArray[np.float64], truth: NDArray[np.float64], sizes: NDArray[np.float64]) -> float:
    """Spearman's rho at equal parameter count: of what is left of both ranks after a fit to the ranks of the counts."""
    base = np.stack([np.ones(len(sizes)), rankdata(sizes)], axis=1)
    ranks = [rankdata(array) for array in (values, truth)]
    left = [array - base @ np.linalg.lstsq(base, array, rcond=None)[0] for array in ranks]
    return float(np.corrcoef(left[0], left[1])[0, 1])


def row(
    source: str,
    seed: int,
    measure: str,
    values: NDArray[np.float64],
    truth: NDArray[np.float64],
    sizes: NDArray[np.float64],
) -> dict[str, Any]:
    """The correlations of one measure with the truth; positive where the larger value is the better cell."""
    return {
        "weights": source,
        "seed": seed,
        "measure": measure,
        "cells": len(values),
        "kendall_tau": float(kendalltau(values, truth).statistic),
        "spearman_rho": float(spearmanr(values, truth).statistic),
        "spearman_rho_at_equal_size": at_equal_size(values, truth, sizes) if measure != "parameters" else None,
    }


if __name__ == "__main__":
    main()
