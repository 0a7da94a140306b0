"""Which short training orders cells of equal size as their full adversarial training does, and at what price?

    python benchmarks/fidelity.py --data PATH --table PATH [--only base,4_epochs] [--cells 40] [--most 587386]
    python benchmarks/fidelity.py --table PATH --collect                      the table of docs/fidelity.md

Cells of one size, or between two, are drawn at random from NAS-RobBench-201. Each is trained with every setting of
`FIDELITIES`, in one cycle of the learning rate that ends at zero, and attacked on 1,024 training images that no
training has seen. A row of the CSV is one training; rows that are there are not made again, so a killed run goes on.
The table has Spearman's rho of each measure with the benchmark's PGD-8 accuracy, for each setting.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from rnas.commands.comparing import load_data
from rnas.config import Distance, PgdConfig
from rnas.data import DataConfig, ImageDataset, LabelledImages
from rnas.data.splits import stratified_subset
from rnas.models.spec import NetworkSpec
from rnas.run.opening import open_run
from rnas.run.provenance import origin
from rnas.search.algorithm import Batch
from rnas.search.candidates import measure
from rnas.search.config import SearchConfig, ShortlistConfig
from rnas.seeding import derive
from rnas.spaces import nasbench201
from rnas.tabular.benchmark import Benchmark
from rnas.training.config import ScheduleConfig, TrainingConfig
from rnas.training.loop import train

COLUMN = "cifar10/val_pgd_8_acc"
HELD_OUT = 1024
#: Cells below which a rank correlation says too little for the table.
FEWEST = 16


@dataclass(frozen=True)
class Fidelity:
    """A short training.

    Args:
        pixels: side of the images.
        images: training images, all different.
        channels: channels of the first stage.
        cells: cells a stage.
        epochs: passes over the images.
        steps: steps of PGD: 2 of 4/255, as the searches have; or 1, fast adversarial training.
        batch_size: images a step.
        learning_rate: the highest.
        average_decay: of the average of the weights; None for none.
    """

    pixels: int = 16
    images: int = 5000
    channels: int = 8
    cells: int = 1
    epochs: int = 1
    steps: int = 2
    batch_size: int = 64
    learning_rate: float = 0.1
    average_decay: float | None = None


BASE = Fidelity()
FIDELITIES = {
    "base": BASE,
    "2_epochs": replace(BASE, epochs=2),
    "4_epochs": replace(BASE, epochs=4),
    "10000_images": replace(BASE, images=10_000),
    "20000_images": replace(BASE, images=20_000),
    "batch_32": replace(BASE, batch_size=32),
    "batch_128": replace(BASE, batch_size=128),
    "rate_0.3": replace(BASE, learning_rate=0.3),
    "rate_0.03": replace(BASE, learning_rate=0.03),
    "16_channels": replace(BASE, channels=16),
    "2_cells": replace(BASE, cells=2),
    "32_pixels": replace(BASE, pixels=32),
    "8_pixels": replace(BASE, pixels=8),
    "fast": replace(BASE, steps=1),
    "fast_10000_images": replace(BASE, steps=1, images=10_000),
    "8_pixels_2500_images": replace(BASE, pixels=8, images=2500),
    "8_pixels_10000_images": replace(BASE, pixels=8, images=10_000),
    "8_pixels_20000_images": replace(BASE, pixels=8, images=20_000),
    "8_pixels_16_channels": replace(BASE, pixels=8, channels=16),
    "8_pixels_2_cells": replace(BASE, pixels=8, cells=2),
    "8_pixels_4_epochs": replace(BASE, pixels=8, epochs=4),
    "8_pixels_fast": replace(BASE, pixels=8, steps=1),
    "5_cells": replace(BASE, cells=5),
    "8_pixels_5_cells": replace(BASE, pixels=8, cells=5),
    "average": replace(BASE, average_decay=0.99),
}


def main() -> None:
    """Train what is not trained yet, or make the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", help="CIFAR-10: cifar10, or a folder of its parquet files")
    parser.add_argument("--table", required=True, help="NAS-RobBench-201: parquet, or its results as JSON")
    parser.add_argument("--only", default=",".join(FIDELITIES), help="settings, separated by commas")
    parser.add_argument("--cells", type=int, default=40, help="cells of the size")
    parser.add_argument("--most", type=int, default=587_386, help="most parameters of a cell")
    parser.add_argument("--least", type=int, help="fewest; those of --most if not given")
    parser.add_argument("--csv", default="results/fidelity.csv", help="where the rows go")
    parser.add_argument("--collect", action="store_true", help="print the table of what is there")
    arguments = parser.parse_args()
    path = Path(arguments.csv)
    if arguments.collect:
        rows = table(pd.read_csv(path))
        print(markdown(rows[rows.cells >= FEWEST]))
        return
    torch.set_num_threads(1)
    benchmark = Benchmark.load(arguments.table)
    least = arguments.most if arguments.least is None else arguments.least
    of_size = np.flatnonzero((benchmark.sizes >= least) & (benchmark.sizes <= arguments.most))
    chosen = np.random.default_rng(0).permutation(of_size)[: arguments.cells]
    about = origin("cpu")
    for name in arguments.only.split(","):
        fidelity, images, done = FIDELITIES[name], None, rows_of(path)
        for index in chosen:
            cell = benchmark.cells[index]
            if (name, cell) in done:
                continue
            images = images or load_data(DataConfig(source=arguments.data, pixels=fidelity.pixels, limit=25_000), 0)
            row = {
                "fidelity": name,
                "cell": cell,
                "group": f"{least}-{arguments.most}",
                "parameters": int(benchmark.sizes[index]),
                **asdict(fidelity),
            }
            row |= {"truth": benchmark.accuracy(cell, COLUMN), **run(cell, fidelity, images), **about}
            pd.DataFrame([row]).to_csv(path, mode="a", header=not path.exists(), index=False)
        if name in {fidelity for fidelity, _ in rows_of(path)}:
            found = pd.read_csv(path)
            print(table(found[found.fidelity == name]).to_string(), flush=True)


def rows_of(path: Path) -> set[tuple[str, str]]:
    """The trainings that are finished."""
    if not path.exists():
        return set()
    found = pd.read_csv(path)
    return set(zip(found.fidelity, found.cell, strict=True))


def run(cell: str, fidelity: Fidelity, images: ImageDataset) -> dict[str, Any]:
    """Train a cell and measure it; the same images for all cells, an initialisation for each."""
    held_out, data = split(images, fidelity.images)
    seed = derive(0, cell)
    attack = PgdConfig(step_size=Distance("4/255"), steps=2)
    training = TrainingConfig(
        objective="pgd_at" if fidelity.steps > 1 else "fast_at",
        attack=attack,
        epochs=fidelity.epochs,
        batch_size=fidelity.batch_size,
        learning_rate=fidelity.learning_rate,
        schedule=ScheduleConfig("one_cycle"),
        average_decay=fidelity.average_decay,
    )
    spec = NetworkSpec(None, nasbench201.parse_genotype(cell), 10, images.channels, fidelity.channels, fidelity.cells)
    sample = Batch(held_out.floats(), held_out.labels, torch.Generator().manual_seed(0))
    search = SearchConfig(
        space=nasbench201.NAME, attack=attack, batch_size=256, shortlist=ShortlistConfig(images=HELD_OUT)
    )
    with trained(spec, data, training, seed) as (folder, seconds):
        measures = measure(folder, sample, search, "cpu")
    steps = fidelity.epochs * (fidelity.images // fidelity.batch_size)
    return {"passes": steps * (fidelity.steps + 1), "seconds": seconds, **measures}


def split(images: ImageDataset, count: int) -> tuple[LabelledImages, ImageDataset]:
    """Training images that no training sees, and data whose training half has so many of the others."""
    chosen = stratified_subset(images.train.labels, HELD_OUT, 0)
    others = torch.ones(len(images.train), dtype=torch.bool)
    others[chosen] = False
    rest = images.train.select(others.nonzero().squeeze(1))
    return images.train.select(chosen), replace(images, train=rest.select(stratified_subset(rest.labels, count, 0)))


@contextmanager
def trained(spec: NetworkSpec, data: ImageDataset, config: TrainingConfig, seed: int) -> Iterator[tuple[Path, float]]:
    """The run directory of a network that has just been trained, until the block ends, and the processor's seconds."""
    with tempfile.TemporaryDirectory() as folder:
        begun = time.process_time()
        with open_run(Path(folder) / "run", "train", {}, seed=seed, device="cpu") as opened:
            spec.save(opened.path, run=opened.identity)
            train(spec.build(seed=seed), data, config, opened, checkpoint_every=10_000)
            yield opened.path, time.process_time() - begun


MEASURES = ("adversarial_loss", "robust_accuracy", "clean_loss", "clean_accuracy", "F")


def table(rows: pd.DataFrame, measures: Sequence[str] = MEASURES) -> pd.DataFrame:
    """Spearman's rho of each measure with the truth, and the cost of a cell."""
    found = []
    for (size, name), group in rows.groupby(["group", "fidelity"], sort=False):
        ranks = group[[*measures, "truth"]].rank()
        rho = {one: ranks[one].corr(ranks.truth) for one in measures}
        cost = group[["passes", "seconds"]].mean()
        found.append({"group": size, "fidelity": name, "cells": len(group), **cost, **rho})
    return pd.DataFrame(found)


def markdown(rows: pd.DataFrame) -> str:
    """The table as docs/fidelity.md has it."""
    heads = ("cells of", "setting", "cells", "passes", "seconds", *MEASURES)
    lines = ["| " + " | ".join(heads) + " |", "| --- | --- |" + " ---: |" * (len(heads) - 2)]
    for row in rows.to_dict("records"):
        least, _, most = str(row["group"]).partition("-")
        sizes = f"{int(most):,}" if least == most else f"{int(least):,} to {int(most):,}"
        cost = [
            str(row["fidelity"]).replace("_", " "),
            str(row["cells"]),
            f"{row['passes']:,.0f}",
            f"{row['seconds']:.1f}",
        ]
        lines.append("| " + " | ".join([sizes, *cost, *(f"{row[name]:+.2f}" for name in MEASURES)]) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
