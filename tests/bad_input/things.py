"""What the tests of wrong commands work on: runs, whole and unfinished, and data, sound and damaged."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from rnas.run.integrity import seal_document

TINY = "--data.limit 40 --checkpoint_every 2 --threads 1"
SEARCH = (
    f"search {TINY} --search.channels 2 --search.cells 3 --search.epochs 1 --search.warmup_epochs 0 "
    "--search.batch_size 20 --search.constraint.images 10 --search.attack.steps 1"
)
TRAIN = f"train {TINY} --training.epochs 3 --training.batch_size 8 --training.attack.steps 1 --network.channels 2"
RESNET = f"{TRAIN} --network.name resnet18"
CELLS = f"{TRAIN} --network.cells 3"
ATTACK = "--evaluation.attacks fgsm --evaluation.images 20 --threads 1"


YAML = {
    "unknown.yaml": "search:\n  epoch: 3\n",
    "typed.yaml": "training:\n  epochs: many\n",
    "broken.yaml": "search: [1, 2\n",
    "list.yaml": "- search\n",
}


def write_images(folder: Path, counts: dict[str, int]) -> None:
    for name, count in counts.items():
        (folder / name).mkdir(parents=True)
        for index in range(count):
            pixels = np.random.default_rng([len(name), ord(name[0]), index]).integers(0, 256, (8, 8, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{index}.png")


def change_json(path: Path, change: Callable[[Any], object]) -> None:
    document = json.loads(path.read_text())
    change(document)
    path.write_bytes(seal_document(document))
