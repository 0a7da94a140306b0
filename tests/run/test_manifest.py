"""A run directory is continued with the settings it was made with, also if those had fewer names then."""

from pathlib import Path
from typing import Any

import pytest

from rnas.commands import TrainCommand
from rnas.config import plain
from rnas.errors import RunError
from rnas.run.files import MEBIBYTE
from rnas.run.integrity import ADDED
from rnas.run.manifest import check_files
from rnas.run.opening import open_run


def older(config: dict[str, Any], group: str = "") -> dict[str, Any]:
    """A configuration without the settings that were added since."""
    return {
        key: older(value, key) if isinstance(value, dict) else value
        for key, value in config.items()
        if (group, key) not in ADDED
    }


def test_a_run_from_before_a_setting_goes_on_with_what_was_done_then(tmp_path: Path) -> None:
    now = plain(TrainCommand(out=str(tmp_path)))
    before = older(now)
    assert "mode" not in before["training"]["fast_at"]
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


def test_a_finished_run_may_have_weights_of_any_size(tmp_path: Path) -> None:
    with (tmp_path / "weights.safetensors").open("wb") as file:
        file.truncate(65 * MEBIBYTE)  # of nothing: it takes no space
    check_files(tmp_path, {"files": {}})
    with pytest.raises(RunError, match="there is no"):
        check_files(tmp_path, {"files": {"metrics.jsonl": "0"}})
