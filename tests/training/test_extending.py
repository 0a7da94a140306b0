"""A training goes on with more epochs exactly where it then ends as if it had had them from the beginning."""

import json
import shutil
from pathlib import Path

import pytest

from rnas.cli import main

TRAIN = (
    "train --data digits --data.limit 40 --threads 1 --network.name resnet18 --network.channels 8 "
    "--training.batch_size 20 --training.attack.steps 1 --training.learning_rate 0.05 --training.average_decay 0.9"
)
CONSTANT = "--training.schedule.name piecewise --training.schedule.milestones []"
FILES = ("weights.safetensors", "metrics.jsonl")


def train(folder: Path, options: str) -> int:
    return main([*TRAIN.split(), *options.split(), "--out", str(folder)])


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A training of two epochs, at a constant rate, and one of four."""
    folder = tmp_path_factory.mktemp("made")
    assert train(folder / "two", f"{CONSTANT} --training.epochs 2") == 0
    assert train(folder / "four", f"{CONSTANT} --training.epochs 4") == 0
    return folder


@pytest.mark.parametrize("milestones", ["[]", "[0.75]"])
def test_an_extended_training_is_that_of_its_length(milestones: str, made: Path, tmp_path: Path) -> None:
    run, whole = tmp_path / "run", made / "four"
    shutil.copytree(made / "two", run)
    before = (run / "weights.safetensors").read_bytes()
    changed = f"--training.epochs 4 --training.schedule.milestones {milestones}"
    if milestones != "[]":  # at a step that is still to come
        whole = tmp_path / "whole"
        assert train(whole, f"{CONSTANT} {changed}") == 0
    assert main(["train", "--resume", str(run), *changed.split()]) == 0
    for name in FILES:
        assert (run / name).read_bytes() == (whole / name).read_bytes(), name
    assert (run / "earlier" / "2-epochs" / "weights.safetensors").read_bytes() == before
    manifest = json.loads((run / "manifest.json").read_text())
    assert manifest["config"]["training"]["epochs"] == 4
    (change,) = manifest["changes"]
    assert change["before"]["training.epochs"] == 2
    assert change["finished"] is not None
    assert len(manifest["sessions"]) == 2
    assert main(["train", "--resume", str(run)]) == 0  # by its own config.yaml: nothing left to do


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ("--training.epochs 1", "has made 4 steps, training.epochs = 1 are 2"),
        (
            "--training.epochs 4 --training.schedule.name cosine",
            "(cosine) a training of that length has another learning rate at step 1, 0.0481 for 0.05",
        ),
        (
            "--training.epochs 4 --training.schedule.milestones [0.25]",
            "another learning rate at step 2, 0.005 for 0.05",
        ),
        ("--training.epochs 4 --training.momentum 0.5", "was made with training.momentum = 0.9, now 0.5"),
    ],
)
def test_any_other_is_refused_and_nothing_lost(
    options: str, says: str, made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    shutil.copytree(made / "two", run)
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file() and path.name != ".lock"}
    assert main(["train", "--resume", str(run), *options.split()]) == 2
    error = capsys.readouterr().err
    assert says in error
    assert error.splitlines()[-1].startswith("rnas: error: ")
    assert {path: path.read_bytes() for path in before} == before


@pytest.mark.parametrize("objective", ["ibp", "crown_ibp"])
def test_an_eps_that_rises_over_all_epochs_cannot_rise_over_more(
    objective: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = f"{CONSTANT} --training.objective {objective} --training.average_decay null --training.epochs 2"
    assert train(tmp_path / "run", options) == 0
    capsys.readouterr()
    assert main(["train", "--resume", str(tmp_path / "run"), "--training.epochs", "4"]) == 2
    says = f"the eps of {objective} rises over all epochs, and rose over 2; choose another --out"
    assert says in capsys.readouterr().err
