"""The command line under torchrun: killed, continued by more or fewer processes, and told off in one line."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from tests.processes import PATIENCE, Commands
from torch import distributed

import rnas
from rnas.cli import main

SOURCES = Path(rnas.__file__).parent
TRAIN = [
    *["train", "--data.limit", "60", "--threads", "1", "--device", "cpu", "--checkpoint_every", "1"],
    *["--network.name", "resnet18", "--network.channels", "2", "--training.objective", "standard"],
    # So slow that the rounding of float32 is not blown up.
    *["--training.batch_size", "9", "--training.learning_rate", "0.0001", "--training.epochs"],
]
EPOCHS = "4"
TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "-m", "rnas"]

pytestmark = pytest.mark.skipif(
    not (distributed.is_available() and distributed.is_gloo_available()), reason="this build of torch has no gloo"
)


def steps(folder: Path) -> list[dict[str, Any]]:
    """The losses and accuracies that were logged."""
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def launch(folder: Path) -> subprocess.Popen[str]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [*TORCHRUN, *TRAIN, EPOCHS, "--out", str(folder)]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def second_process(launcher: int) -> int:
    """The process of rank 1 that torchrun has started."""
    children = Path(f"/proc/{launcher}/task/{launcher}/children").read_text().split()
    return next(int(child) for child in children if b"\0RANK=1\0" in Path(f"/proc/{child}/environ").read_bytes())


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="finds the processes of torchrun in /proc")
def test_a_training_that_lost_a_process_is_continued(commands: Commands, tmp_path: Path) -> None:
    killed, alone, whole = tmp_path / "killed", tmp_path / "alone", tmp_path / "whole"
    launcher = launch(killed)
    end = time.monotonic() + PATIENCE
    while not ((killed / "checkpoint.pt").exists() and len(steps(killed)) > 2):
        assert launcher.poll() is None, launcher.communicate()
        assert time.monotonic() < end
        time.sleep(0.02)
    os.kill(second_process(launcher.pid), signal.SIGKILL)
    _, errors = launcher.communicate(timeout=PATIENCE)
    assert launcher.returncode != 0
    assert not (killed / "weights.safetensors").exists()
    # torchrun tells which process it was; of us there is at most a line, and no traceback.
    assert f'File "{SOURCES}' not in errors
    assert errors.count("rnas: error:") <= 1

    shutil.copytree(killed, alone)
    assert main([*TRAIN, EPOCHS, "--out", str(alone)]) == 0
    # With the environment that torchrun gives, and without its interpreters, which import torch anew.
    resumed = commands.group([[*TRAIN, EPOCHS, "--out", killed]] * 2)
    assert [process.returncode for process in resumed] == [0, 0], resumed[0].stderr
    assert "".join(process.stdout for process in resumed).count("trained:") == 1
    assert main([*TRAIN, EPOCHS, "--out", str(whole)]) == 0
    assert len(steps(whole)) == int(EPOCHS) * 6
    for folder in (killed, alone):
        for one, other in zip(steps(whole), steps(folder), strict=True):
            assert one == pytest.approx(other, abs=1e-4)
    assert json.loads((killed / "manifest.json").read_text())["command"].startswith("torchrun --nnodes 1")


FEW = [*TRAIN, "1", "--training.batch_size", "2"]
WRONG = {
    "few images": ([FEW] * 3, ["each of the 3 processes", "batches of 2", "larger batch_size"]),
    "not divided": ([["zoo"], ["zoo"]], ["rnas zoo", "one process", "train"]),
    "not one command": ([[*TRAIN, "1"], [*TRAIN, "2"]], ["process 1", "settings", "one command"]),
}


@pytest.mark.parametrize("name", WRONG)
def test_one_line_for_all_processes(name: str, commands: Commands, tmp_path: Path) -> None:
    lines, words = WRONG[name]
    out = [] if name == "not divided" else ["--out", str(tmp_path / "run")]
    ended = commands.group([[*line, *out] for line in lines])
    assert 2 in [process.returncode for process in ended]
    assert all(process.returncode for process in ended)
    said = "".join(process.stderr for process in ended)
    assert "Traceback" not in said
    (line,) = [line for line in said.splitlines() if line.startswith("rnas: error: ")]
    for word in words:
        assert word in line
    assert not (tmp_path / "run" / "metrics.jsonl").exists()
