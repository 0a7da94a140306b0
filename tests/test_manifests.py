"""A run directory is continued with the settings it was made with, also if those had fewer names then."""

from pathlib import Path

import pytest

from rnas.config import plain
from rnas.errors import RunError
from rnas.integrity import ADDED
from rnas.runs import open_run
from rnas.training.config import TrainingConfig


def test_a_run_from_before_a_setting_goes_on_with_what_was_done_then(tmp_path: Path) -> None:
    now = {"training": plain(TrainingConfig())}
    before = {"training": plain(TrainingConfig())}
    for group, name in ADDED:
        del before["training"][group][name]
    with open_run(tmp_path, "train", before, seed=0, device="cpu") as run:
        run.save_checkpoint({"step": 3})
    with open_run(tmp_path, "train", now, seed=0, device="cpu") as run:
        checkpoint = run.load_checkpoint()
        assert checkpoint is not None
        assert checkpoint["step"] == 3
    now["training"]["fast_at"]["mode"] = "training"
    with (
        pytest.raises(RunError, match=r"training\.fast_at\.mode = None, now training: choose another --out"),
        open_run(tmp_path, "train", now, seed=0, device="cpu"),
    ):
        pass
