"""Search for a robust cell through the Python API, train what was found, and measure both kinds of accuracy.

python examples/search_in_python.py --out runs/python     # a minute on a CPU
"""

import argparse
from pathlib import Path

import rnas
from rnas.commands import SearchCommand, TrainCommand, run_search, run_training
from rnas.config import Distance, PgdConfig
from rnas.data.config import DataConfig
from rnas.networks import NetworkConfig
from rnas.search import ConstraintConfig, SearchConfig
from rnas.training.config import TrainingConfig

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--out", type=Path, default=Path("runs/python"), help="the folder for both runs")
parser.add_argument("--images", type=int, help="training images to keep; by default all")
parser.add_argument("--epochs", type=int, default=8, help="of the training")
options = parser.parse_args()

data = DataConfig(source="digits", limit=options.images)
attack = PgdConfig(eps=Distance("0.1"), step_size=Distance("0.05"), steps=2)

# Each run can be killed and called again: it goes on from its last checkpoint.
found = run_search(
    SearchCommand(
        out=str(options.out / "search"),
        data=data,
        search=SearchConfig(
            channels=2,
            cells=3,
            epochs=2,
            warmup_epochs=1,
            batch_size=32,
            attack=attack,
            constraint=ConstraintConfig(bound="50%", images=32),
        ),
    )
)
trained = run_training(
    TrainCommand(
        out=str(options.out / "trained"),
        data=data,
        network=NetworkConfig(genotype=str(found / "genotype.json"), channels=4, cells=3),
        training=TrainingConfig(epochs=options.epochs, batch_size=32, learning_rate=0.1, attack=attack),
    )
)

genotype = rnas.Genotype.load(found / "genotype.json")
rnas.reports.draw_genotype(genotype, title="found", path=options.out / "cells.svg")
test = rnas.data.load("digits").test
evaluation = rnas.evaluation.evaluate(
    rnas.load(trained), test.images[:100], test.labels[:100], attacks=["fgsm", "pgd20"], eps=0.1
)
for row in evaluation.table():
    print("  ".join(row))
