"""Load a trained network and attack it with AutoAttack, by the package of its authors.

python examples/attack_a_run.py runs/quickstart/resnet18 --images 32 --eps 0.1
"""

import argparse
from pathlib import Path

import torch
from pyautoattack import AutoAttack
from scipy.stats import binomtest

import rnas
from rnas.run.manifest import read_manifest

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("run", type=Path, help="a directory that rnas train wrote")
parser.add_argument("--images", type=int, default=32, help="how many test images")
parser.add_argument("--eps", type=float, default=8 / 255, help="radius of the Linf ball")
parser.add_argument("--attacks", nargs="+", help="some of apgd-ce, apgd-t, fab-t, square; by default all four")
options = parser.parse_args()

# A plain torch module: images in [0, 1] to logits, in evaluation mode.
network = rnas.load(options.run)
data = rnas.data.load(read_manifest(options.run)["config"]["data"]["source"])
images, labels = data.test.floats()[: options.images], data.test.labels[: options.images]

attack = AutoAttack(
    network,
    norm="Linf",
    eps=options.eps,
    version="custom" if options.attacks else "standard",
    attacks=options.attacks,
    seed=0,
)
adversarial, _ = attack.run_standard_evaluation(images, labels, batch_size=64)

with torch.no_grad():
    for title, pictures in (("clean", images), ("under AutoAttack", adversarial)):
        correct = int((network(pictures).argmax(dim=1) == labels).sum())
        interval = binomtest(correct, len(labels)).proportion_ci(method="wilson")
        print(f"{title}: {correct} of {len(labels)} images, 95% interval [{interval.low:.3f}, {interval.high:.3f}]")
