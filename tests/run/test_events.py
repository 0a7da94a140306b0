"""The numbers of a run as TensorBoard's own reader finds them, and a run whose folder goes away."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from rnas.errors import RunError
from rnas.run.opening import open_run


def log(folder: Path, steps: range) -> None:
    with open_run(folder, "train", {}, seed=0, device="cpu") as run:
        for step in steps:
            run.log("step", step=step, epoch=0, loss=step / 2, images=3, best=True, phase="warmup", missing=None)


def test_tensorboard_shows_the_numbers_and_hides_those_after_a_restart(tmp_path: Path) -> None:
    log(tmp_path / "run", range(6))
    shown = EventAccumulator(str(tmp_path / "run")).Reload()
    assert shown.Tags()["scalars"] == ["step/loss", "step/images"]
    assert [(event.step, event.value) for event in shown.Scalars("step/loss")] == [(i, i / 2) for i in range(6)]
    # Steps that a killed process had done after its checkpoint are done again.
    log(tmp_path / "run", range(4, 8))
    again = EventAccumulator(str(tmp_path / "run")).Reload()
    assert [event.step for event in again.Scalars("step/images")] == list(range(8))


def test_a_linked_file_of_events_is_not_written(tmp_path: Path) -> None:
    """Its name cannot be guessed; what is there is not written to."""
    log(tmp_path / "run", range(2))
    (name,) = (path.name for path in (tmp_path / "run").glob("events.out.tfevents.*"))
    before = (tmp_path / "run" / name).read_bytes()
    log(tmp_path / "run", range(2))
    assert len(list((tmp_path / "run").glob("events.out.tfevents.*"))) == 2
    assert (tmp_path / "run" / name).read_bytes() == before


def test_a_run_whose_folder_goes_away_says_so_and_nothing_else(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "run"

    def lose() -> None:
        with open_run(folder, "train", {}, seed=0, device="cpu") as run:
            run.log("step", step=0, epoch=0, loss=1.0)
            shutil.move(folder, tmp_path / "moved")
            run.log("step", step=1, epoch=0, loss=1.0)

    with pytest.raises(RunError, match=r"cannot write .*metrics\.jsonl: No such file or directory; to go on from: "):
        lose()
    assert capfd.readouterr().err == ""
    assert json.loads((tmp_path / "moved" / "metrics.jsonl").read_text())["step"] == 0
    assert not folder.exists()


def test_a_fifo_in_place_of_the_measurements_does_not_stop_a_run(tmp_path: Path) -> None:
    with open_run(tmp_path / "run", "train", {}, seed=0, device="cpu") as run:
        os.mkfifo(tmp_path / "run" / "metrics.jsonl")
        with pytest.raises(RunError, match=r"metrics\.jsonl is a FIFO, expected a file"):
            run.load_checkpoint()
        with pytest.raises(RunError, match=r"metrics\.jsonl is a FIFO, expected a file"):
            run.save_checkpoint({})
