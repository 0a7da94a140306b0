"""What is taken for finished is: the same settings, all attacks, as many images, the same weights."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from rnas.cli import main
from rnas.commands import EvaluateCommand, TrainCommand, run_evaluation, run_training
from rnas.commands.finished import is_evaluated, is_finished
from rnas.config import Distance
from rnas.data.config import DataConfig
from rnas.evaluation.config import EvaluationSettings
from rnas.networks.config import NetworkConfig
from rnas.training.config import TrainingConfig

SETTINGS = EvaluationSettings(attacks=["fgsm", "pgd20"], eps=Distance("0.1"), images=8)


@pytest.fixture(scope="module")
def training(tmp_path_factory: pytest.TempPathFactory) -> TrainCommand:
    """A network, trained and attacked."""
    folder = tmp_path_factory.mktemp("place") / "run"
    command = TrainCommand(
        out=str(folder),
        data=DataConfig(limit=32),
        network=NetworkConfig(name="resnet18", channels=2),
        training=TrainingConfig(epochs=1, objective="standard"),
        threads=1,
    )
    run_training(command)
    run_evaluation([str(folder)], EvaluateCommand(evaluation=SETTINGS, threads=1))
    return command


@pytest.mark.parametrize(
    ("changed", "complete"),
    [
        ({}, True),
        ({"attacks": ["pgd20"]}, True),
        ({"images": 5}, True),
        ({"batch_size": 4}, True),
        ({"images": 9}, False),
        ({"images": None}, False),
        ({"attacks": ["fgsm", "pgd20", "cw"]}, False),
        ({"eps": Distance("0.2")}, False),
        ({"eps": None}, False),
        ({"step_size": Distance("0.01")}, False),
    ],
)
def test_an_evaluation_is_complete_for_less_and_not_for_more(
    training: TrainCommand, changed: dict[str, object], complete: bool
) -> None:
    command = EvaluateCommand(evaluation=replace(SETTINGS, **changed))  # type: ignore[arg-type]
    assert is_evaluated(Path(training.out), command) == complete


def test_an_evaluation_is_of_one_seed_and_one_set_of_weights(training: TrainCommand) -> None:
    folder, command = Path(training.out), EvaluateCommand(evaluation=SETTINGS)
    assert not is_evaluated(folder, replace(command, seed=1))
    assert not is_evaluated(folder.parent, command)
    weights = folder / "weights.safetensors"
    before = weights.stat()
    os.utime(weights, (before.st_atime, before.st_mtime + 3600))
    assert not is_evaluated(folder, command)
    os.utime(weights, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert is_evaluated(folder, command)


def test_all_test_images_are_enough_where_more_are_asked_for(training: TrainCommand) -> None:
    everything = EvaluateCommand(evaluation=replace(SETTINGS, attacks=["fgsm"], images=None))
    assert main(["evaluate", training.out, "--evaluation.attacks", "fgsm", "--evaluation.eps", "0.1"]) == 0
    assert is_evaluated(Path(training.out), everything)
    assert is_evaluated(
        Path(training.out), replace(everything, evaluation=replace(everything.evaluation, images=10_000))
    )


def test_a_run_is_made_with_the_settings_of_its_command(training: TrainCommand) -> None:
    assert is_finished(training, "train")
    assert is_finished(replace(training, checkpoint_every=7), "train")  # decides no result
    assert not is_finished(training, "search")
    assert not is_finished(replace(training, seed=1), "train")
    assert not is_finished(replace(training, out=f"{training.out}-other"), "train")
