"""A run whose worker is killed restarts from its checkpoint and ends as if nothing had happened."""

from __future__ import annotations

import csv
import importlib.util
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_file_loader import EventFileLoader

from rnas.cli import main

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("ray") is None, reason="ray is not installed (pip install 'rnas[cluster]')"
)

STUDY = (
    "reproduce table2 --networks shufflenet_v2,darts_v2 --data.limit 64 --training.epochs 40 --checkpoint_every 1 "
    "--evaluation.images 4 --evaluation.attacks pgd20"
)


def holder(lock: Path) -> int | None:
    """The process that has a file open."""
    for link in Path("/proc").glob("[0-9]*/fd/*"):
        try:
            if link.readlink() == lock:
                return int(link.parts[2])
        except OSError:
            continue  # the process ended meanwhile, or is another user's
    return None


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="the worker is found in /proc")
def test_a_killed_worker_restarts_from_its_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert main([*STUDY.split(), "--networks", "shufflenet_v2", "--out", "undisturbed"]) == 0
    # A folder that holds something else: this run fails, and the other must not care.
    foreign = tmp_path / "killed" / "runs" / "cifar10-standard-darts_v2"
    foreign.mkdir(parents=True)
    (foreign / "thesis.txt").write_text("not a run")
    run = tmp_path / "killed" / "runs" / "cifar10-standard-shufflenet_v2"
    command = [
        sys.executable,
        "-c",
        "import sys, rnas.cli; sys.exit(rnas.cli.main())",
        *STUDY.split(),
        "--engine",
        "ray",
        "--cpus",
        "1",
        "--out",
        "killed",
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as study:
        deadline = time.monotonic() + 300
        while not (run / "checkpoint.pt").exists():
            assert study.poll() is None, study.communicate()[0]
            assert time.monotonic() < deadline
            time.sleep(0.05)
        worker = holder(run / ".lock")
        assert worker is not None, "the run ended before it could be killed"
        assert worker != study.pid
        os.kill(worker, signal.SIGKILL)
        output, _ = study.communicate(timeout=300)
    assert study.returncode == 2, output
    (line,) = [line for line in output.splitlines() if line.startswith("rnas: error: ")]
    assert "1 of 2 runs of table2 failed, the first of them darts_v2" in line
    assert "thesis.txt" in line
    for name in ("weights.safetensors", "metrics.jsonl"):
        expected = tmp_path / "undisturbed" / "runs" / run.name / name
        assert (run / name).read_bytes() == expected.read_bytes()
    # Each attempt leaves its own events; those of the second begin where the checkpoint was, not at step 0.
    _, second = sorted(run.glob("events.out.tfevents.*"), key=lambda path: path.stat().st_mtime_ns)
    assert min(event.step for event in EventFileLoader(str(second)).Load() if event.HasField("summary")) > 0
    rows = list(csv.DictReader((tmp_path / "killed" / "table2.csv").read_text(encoding="utf-8").splitlines()))
    measured = {row["network"] for row in rows if row["ours"]}
    assert measured == {"shufflenet_v2"}
    assert {row["command"].split()[-1] for row in rows if row["ours"]} == {"killed"}
