"""What can be wrong with the models of `rnas evaluate`: one line, exit code 2, nothing lost."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from tests.refusals import Refused

from rnas.cli import main

MODELS = """
import torch
from torch import nn
def thousand():
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 1000))
def colour():
    return nn.Sequential(nn.Conv2d(3, 2, 3), nn.Flatten(), nn.Linear(72, 10))
class NotANumber(nn.Module):
    def forward(self, images):
        return images.flatten(1)[:, :10] * torch.nan
class Features(nn.Module):
    def forward(self, images):
        return images
def elsewhere():
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 10, device="meta"))
"""
SMALL = "--evaluation.attacks fgsm --evaluation.images 20 --threads 1"
OTHER = "--data digits --out out"
TRAIN = "train --data digits --network.name resnet18 --network.channels 2 --training.epochs 1 --training.attack.steps 1"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert main(f"{TRAIN} --out runs/a --data.limit 40 --threads 1".split()) == 0
        shutil.copytree("runs/a", "other/a")
        assert main(f"evaluate runs/a {SMALL}".split()) == 0
    (folder / "rnas_test_wrong.py").write_text(MODELS)
    (folder / "range.yaml").write_text("evaluation:\n  eps: -1\n")
    (folder / "type.yaml").write_text("evaluation:\n  batch_size: many\n")
    (folder / "key.yaml").write_text("evaluation:\n  esp: 1\n")
    return folder


CASES = {
    "no run, no data": ("evaluate rnas_test_wrong:colour", ["is no run directory", "--data SOURCE and --out FOLDER"]),
    "no run, no out": ("evaluate rnas_test_wrong:colour --data digits", ["--out FOLDER"]),
    "too many classes": (f"evaluate rnas_test_wrong:thousand {OTHER}", ["1000 classes apart", "the data has 10"]),
    "other channels": (f"evaluate rnas_test_wrong:colour {OTHER}", ["cannot take images of shape (1, 8, 8)"]),
    "not finite": (f"evaluate rnas_test_wrong:NotANumber {OTHER}", ["logits are not finite"]),
    "no logits": (f"evaluate rnas_test_wrong:Features {OTHER}", ["expected logits of shape (2, classes)"]),
    "without values": (f"evaluate rnas_test_wrong:elsewhere {OTHER}", ["'meta'", "no values"]),
    "two of one name": ("evaluate runs/a other/a --out out", ["runs/a and other/a", "out/a", "different --out"]),
    "the same twice": ("evaluate runs/a runs/a", ["would be kept in one folder", "runs/a"]),
    "out is a run": ("evaluate runs/a --out other/a", ["other/a holds a run of kind 'train'", "another --out"]),
    "out holds such a run": ("evaluate runs/a --out other", ["other/a holds a run of kind 'train'", "another --out"]),
    "another seed": ("evaluate runs/a --seed 1", ["another seed (0 there, 1 here)", "--out FOLDER"]),
    "other eps": ("evaluate runs/a --evaluation.eps 0.3", ["another eps of fgsm (0.03", "0.3 here", "--out FOLDER"]),
    "images saved below 0": ("evaluate runs/a --save_images -1", ["save_images", ">= 0", "-1"]),
    "out of nothing": ("evaluate runs/a --out=", ["out", "a path"]),
    "a range in a file": ("evaluate runs/a --config range.yaml", ["range.yaml: evaluation.eps", ">= 0"]),
    "a type in a file": ("evaluate runs/a --config type.yaml", ["type.yaml: evaluation.batch_size", "'many'"]),
    "a name in a file": ("evaluate runs/a --config=key.yaml", ["key.yaml: ", "did you mean --evaluation.eps?"]),
    "a file that is right": ("evaluate runs/a --config right.yaml --threads 0", ["threads", "got 0"]),
}


@pytest.mark.parametrize("name", CASES)
def test_one_line_and_nothing_lost(
    name: str, made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refused: Refused
) -> None:
    shutil.copytree(made, tmp_path / "place")
    monkeypatch.chdir(tmp_path / "place")
    Path("right.yaml").write_text("seed: 0\n")
    command, says = CASES[name]
    models, options, rest = command.partition(" --")
    refused(f"{models} {SMALL}{options}{rest}", *says, apart=["out"])
