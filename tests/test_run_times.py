"""How long a stage took is its own work, over all processes that continued it, whatever the clock on the wall did."""

import json
import time
from pathlib import Path

import pytest

from rnas.reports.facts import stage
from rnas.run.contents import Part
from rnas.run.opening import open_run


def test_seconds_of_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    moment = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: moment)
    path = tmp_path / "run"
    with open_run(path, "train", {}, seed=0, device="cpu") as run:
        assert not run.complete(lambda _: None)
        run.log("step", step=0, epoch=0, loss=1.0)
        moment += 40
        run.save_checkpoint({"step": 1})
        moment += 5  # lost by a kill here
    moment += 1000  # nobody works
    with open_run(path, "train", {}, seed=0, device="cpu") as run:
        assert not run.complete(lambda _: None)
        run.load_checkpoint()
        moment += 21
        run.finish()
    assert json.loads((path / "manifest.json").read_text())["seconds"] == 61.0


def test_a_page_takes_the_time_of_the_work(tmp_path: Path) -> None:
    back = {"created": "2026-01-01T12:00:00+00:00", "finished": "2026-01-01T11:00:00+00:00"}
    for seconds, words in (({"seconds": 61.0}, "1 min 1 s"), ({}, "0 min 0 s")):
        part = Part("search", "search", tmp_path, manifest={**back, **seconds})
        assert words in stage(part)
