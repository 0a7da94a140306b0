"""A run that was killed, however often, ends with the files of one that was not."""

from __future__ import annotations

import json
import os
import random
import signal
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from tests.processes import PATIENCE, Commands, runs

from rnas.cli import main
from rnas.reports import read_layers

KILLS = 3

TINY = ["--data.limit", "60", "--checkpoint_every", "2", "--threads", "1"]
ATTACK = ["eps=0.1", "step_size=0.1", "steps=1"]


def settings(prefix: str, *values: str) -> list[str]:
    return [f"--{prefix}.{value}" for value in values]


SEARCH = [
    "search",
    *TINY,
    *settings("search", "channels=2", "cells=3", "epochs=3", "warmup_epochs=1", "batch_size=10"),
    *settings("search.attack", *ATTACK),
    *settings("search.constraint", "bound=80%", "images=4", "max_iterations=1"),
]
TRAINING = [
    "train",
    *TINY,
    *settings("training", "epochs=3", "batch_size=8", "learning_rate=0.05"),
    *settings("training.attack", *ATTACK),
]
RESNET = [*TRAINING, "--network.name", "resnet18", "--network.channels", "2"]
CELLS = [*TRAINING, "--network.channels", "2", "--network.cells", "3"]
EXTRAS = [
    *settings("training", "objective=trades", "average_decay=0.8", "label_smoothing=0.1", "cutout=2"),
    *settings("training.schedule", "name=one_cycle"),
    *settings("training.validation", "images=20", "patience=1"),
    *settings("training.cells", "auxiliary_weight=0.4", "drop_path=0.2"),
]
RECIPE = [
    *["run", "quickstart", *TINY],
    *settings("search", "space=nasbench201", "channels=2", "cells=1", "epochs=1", "warmup_epochs=0", "batch_size=20"),
    *settings("search.attack", "steps=1"),
    *settings("search.constraint", "bound=1", "images=10", "max_iterations=1"),
    *settings("search.shortlist", "count=2", "epochs=1"),
    *settings("network", "channels=2", "cells=1"),
    "--baseline.channels=2",
    *settings("training", "epochs=1", "batch_size=20", "attack.steps=1"),
    *settings("evaluation", "attacks=[fgsm]", "images=20"),
]

SEARCH_FILES = ("metrics.jsonl", "genotype.json", "alpha.safetensors", "results.json", "splits.json")
TRAINING_FILES = ("metrics.jsonl", "weights.safetensors", "model.json")


@pytest.fixture(scope="module")
def whole_search(commands: Commands, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A search that was not interrupted."""
    folder = tmp_path_factory.mktemp("search") / "whole"
    commands.finish([*SEARCH, "--out", folder])
    return folder


@pytest.fixture(scope="module")
def whole_training(commands: Commands, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A training that was not interrupted."""
    folder = tmp_path_factory.mktemp("training") / "whole"
    commands.finish([*RESNET, "--out", folder])
    return folder


def logged(folder: Path) -> int:
    """Lines in metrics.jsonl."""
    file = folder / "metrics.jsonl"
    return file.read_bytes().count(b"\n") if file.exists() else 0


def finished(folder: Path) -> bool:
    file = folder / "manifest.json"
    return file.exists() and json.loads(file.read_text())["finished"] is not None


def wait_for_line(process: int, folder: Path, line: int) -> None:
    """Wait until the process has logged so many lines, or has ended."""
    deadline = time.monotonic() + PATIENCE
    while logged(folder) < line and runs(process):
        assert time.monotonic() < deadline, f"{folder} has {logged(folder)} lines, waited for {line}"
        time.sleep(0.003)


def run_with_kills(commands: Commands, arguments: Sequence[str | Path], folder: Path, lines: int, seed: int) -> None:
    """Run a command that logs so many lines, killed at random ones, to its end."""
    rng = random.Random(seed)
    for left in range(KILLS, 0, -1):
        # A moment that this attempt, and no earlier one, reaches, and that leaves room for the kills to come.
        reached = logged(folder)
        line = reached + rng.randint(1, max(1, 2 * (lines - 1 - reached) // (left + 1)))
        process = commands.start(arguments)
        wait_for_line(process, folder, line)
        os.kill(process, signal.SIGKILL)
        assert commands.answer() == -signal.SIGKILL, "the run ended before it was killed"
        assert not finished(folder)
    assert 0 < logged(folder) < lines
    commands.finish(arguments)
    assert finished(folder)


def assert_same_files(first: Path, second: Path, names: Sequence[str]) -> None:
    for name in names:
        assert (first / name).read_bytes() == (second / name).read_bytes(), f"{name} differs"


def test_a_search_killed_often(commands: Commands, whole_search: Path, tmp_path: Path) -> None:
    folder = tmp_path / "killed"
    run_with_kills(commands, [*SEARCH, "--out", folder], folder, logged(whole_search), seed=1)
    assert_same_files(whole_search, folder, SEARCH_FILES)


def test_a_training_of_a_named_network_killed_often(commands: Commands, whole_training: Path, tmp_path: Path) -> None:
    folder = tmp_path / "killed"
    run_with_kills(commands, [*RESNET, "--out", folder], folder, logged(whole_training), seed=2)
    assert_same_files(whole_training, folder, TRAINING_FILES)


def test_a_training_of_found_cells_killed_often(commands: Commands, whole_search: Path, tmp_path: Path) -> None:
    arguments: list[str | Path] = [*CELLS, "--network.genotype", whole_search / "genotype.json", "--out"]
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    commands.finish([*arguments, whole])
    run_with_kills(commands, [*arguments, killed], killed, logged(whole), seed=3)
    assert_same_files(whole, killed, [*TRAINING_FILES, "genotype.json"])


def test_a_training_with_all_extras_killed_often(commands: Commands, tmp_path: Path) -> None:
    arguments = [*CELLS, *EXTRAS, "--network.name", "darts_v2", "--out"]
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    commands.finish([*arguments, whole])
    run_with_kills(commands, [*arguments, killed], killed, logged(whole), seed=4)
    assert_same_files(whole, killed, [*TRAINING_FILES, "splits.json"])


def test_the_seed_matters(commands: Commands, whole_training: Path, tmp_path: Path) -> None:
    """Otherwise equal files would prove nothing."""
    commands.finish([*RESNET, "--out", tmp_path / "other", "--seed", "1"])
    for name in ("metrics.jsonl", "weights.safetensors"):
        assert (whole_training / name).read_bytes() != (tmp_path / "other" / name).read_bytes()


def test_a_finished_run_is_not_repeated(commands: Commands, whole_search: Path, whole_training: Path) -> None:
    for folder, arguments in ((whole_search, SEARCH), (whole_training, RESNET)):
        before = {path.name: path.stat().st_mtime_ns for path in folder.iterdir() if path.name != ".lock"}
        commands.finish([*arguments, "--out", folder])
        commands.finish([arguments[0], "--resume", folder])
        assert {path.name: path.stat().st_mtime_ns for path in folder.iterdir() if path.name != ".lock"} == before


def test_a_saved_configuration_repeats_the_run(commands: Commands, whole_training: Path, tmp_path: Path) -> None:
    commands.finish(["train", "--config", whole_training / "config.yaml", "--out", tmp_path / "again"])
    assert_same_files(whole_training, tmp_path / "again", TRAINING_FILES)


def test_ctrl_c_can_be_continued(commands: Commands, whole_training: Path, tmp_path: Path) -> None:
    folder = tmp_path / "interrupted"
    process = commands.start([*RESNET, "--out", folder])
    wait_for_line(process, folder, 5)
    os.kill(process, signal.SIGINT)
    assert commands.answer() == 130
    assert commands.said.read_text().splitlines() == [
        "rnas: interrupted; the same command continues from the last checkpoint"
    ]
    assert not finished(folder)
    commands.finish(["train", "--resume", folder])
    assert_same_files(whole_training, folder, TRAINING_FILES)


def test_two_processes_do_not_share_a_directory(
    commands: Commands, whole_training: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "shared"
    process = commands.start([*RESNET, "--out", folder])
    wait_for_line(process, folder, 2)
    os.kill(process, signal.SIGSTOP)
    try:
        assert main([*RESNET, "--out", str(folder)]) == 2
    finally:
        os.kill(process, signal.SIGCONT)
    expected = f"rnas: error: {folder} is in use by another process: wait for it, or choose another --out\n"
    assert capsys.readouterr().err == expected
    assert commands.answer() == 0, commands.said.read_text()
    assert_same_files(whole_training, folder, TRAINING_FILES)


def test_a_recipe_killed_before_its_evaluation_goes_on_elsewhere(commands: Commands, tmp_path: Path) -> None:
    """The stages that were finished are not repeated, also where the directory has been moved meanwhile."""
    whole, killed, moved = tmp_path / "whole", tmp_path / "killed", tmp_path / "moved"
    commands.finish([*RECIPE, "--out", whole])
    process = commands.start([*RECIPE, "--out", killed])
    deadline = time.monotonic() + PATIENCE
    while not finished(killed / "resnet18"):
        assert time.monotonic() < deadline
        time.sleep(0.003)
    os.kill(process, signal.SIGKILL)
    assert commands.answer() == -signal.SIGKILL, commands.said.read_text()
    assert not (killed / "results.json").exists()
    killed.rename(moved)
    stages = [moved / "search" / "genotype.json", *(moved / name / "weights.safetensors" for name in MODELS)]
    before = [path.stat().st_mtime_ns for path in stages]

    commands.finish(["run", "--resume", moved])

    assert [path.stat().st_mtime_ns for path in stages] == before
    assert_same_files(whole / "search", moved / "search", SEARCH_FILES)
    for name in MODELS:
        assert_same_files(whole / name, moved / name, TRAINING_FILES)
        assert counts(whole / name) == counts(moved / name)
    assert finished(moved)
    measured = [read_layers(folder / "vulnerability" / "vulnerability.csv") for folder in (whole, moved)]
    assert {row.model for row in measured[0]} == set(MODELS)
    assert {row.metric for row in measured[0]} == {"gaussian_kl"}
    assert measured[0] == measured[1]
    assert (moved / "report.html").stat().st_size > 0


MODELS = ("searched", "resnet18")


def counts(folder: Path) -> dict[str, tuple[int, int]]:
    """Images and robust ones, by attack."""
    attacks = json.loads((folder / "results.json").read_text())["attacks"]
    return {attack["name"]: (attack["images"], attack["robust"]) for attack in attacks}
