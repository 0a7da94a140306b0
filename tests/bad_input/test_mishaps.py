"""Malice, other images meanwhile, a full disk, numbers that diverge: what was saved before is intact."""

from __future__ import annotations

import errno
import json
import os
import pickle
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from tests.bad_input.things import RESNET, SEARCH, TRAIN, change_json, write_images
from tests.refusals import content

from rnas.cli import main
from rnas.run import metrics


class Malice:
    """Makes a folder where it is loaded."""

    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        return os.mkdir, ("harm",)


@pytest.mark.parametrize("form", ["torch", "pickle", "hidden"])
def test_no_code_of_a_checkpoint_runs(form: str, place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = place / "half" / "checkpoint.pt"
    state = torch.load(path, weights_only=True)
    if form == "torch":
        torch.save(Malice(), path)
    elif form == "pickle":
        path.write_bytes(pickle.dumps(Malice()))
    else:
        torch.save({**state, "note": Malice()}, path)
    before = content(place)
    assert main(f"{RESNET} --out half".split()) == 2
    error = capsys.readouterr().err
    assert "half/checkpoint.pt is no checkpoint of tensors and plain values" in error
    assert "refused" in error
    assert error.count("\n") == 1
    assert not (place / "harm").exists()
    assert content(place) == before
    # The proof that it would have harmed.
    pickle.loads(pickle.dumps(Malice()))
    assert (place / "harm").exists()


@pytest.mark.parametrize(
    ("wrong", "corrected"),
    [
        (f"{RESNET} --data ./nothing", RESNET),
        (f"{TRAIN} --network.name resnet18 --data.limit 5", f"{TRAIN} --network.name resnet18"),
        (f"{SEARCH} --data ./pair", SEARCH),
    ],
)
def test_a_failed_beginning_does_not_bind(
    wrong: str, corrected: str, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (place / "new").mkdir()  # so that the attempt leaves its settings
    assert main(f"{wrong} --out new".split()) == 2
    assert (place / "new" / "config.yaml").exists()
    assert main(f"{corrected} --out new".split()) == 0, capsys.readouterr().err
    manifest = json.loads((place / "new" / "manifest.json").read_text())
    assert manifest["finished"] is not None
    assert manifest["config"]["data"]["source"] == "digits"


def test_other_images_meanwhile(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = f"{RESNET} --data ./three --data.limit 6 --out new"
    assert main(command.split()) == 0
    change_json(place / "new" / "manifest.json", lambda manifest: manifest.update(finished=None))
    write_images(place / "three", {"dog": 4})
    capsys.readouterr()
    before = content(place)
    assert main(command.split()) == 2
    assert capsys.readouterr().err == (
        "rnas: error: new was begun with other images than there are now; choose another --out\n"
    )
    assert content(place) == before


def test_a_full_disk_leaves_the_last_checkpoint(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    checkpoint = place / "new" / "checkpoint.pt"
    synchronise = os.fsync

    def full(descriptor: int) -> None:
        if checkpoint.exists():
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        synchronise(descriptor)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        assert main(f"{RESNET} --out new".split()) == 2
    assert capsys.readouterr().err == (
        "rnas: error: cannot write new/metrics.jsonl: No space left on device; what was saved there before is intact\n"
    )
    assert torch.load(checkpoint, weights_only=True)["step"] == 2
    assert main(f"{RESNET} --out new".split()) == 0
    for name in ("weights.safetensors", "metrics.jsonl"):
        assert (place / "new" / name).read_bytes() == (place / "train" / name).read_bytes()


def test_metrics_that_cannot_be_written(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(path: Path, text: str) -> None:  # noqa: ARG001
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    before = content(place)
    monkeypatch.setattr(metrics, "append", full)
    assert main(f"{RESNET} --out new".split()) == 2
    assert content(place) == before
    error = capsys.readouterr().err
    assert error.startswith("rnas: error: cannot write new/metrics.jsonl: No space left on device")
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    "command",
    [
        f"{RESNET} --training.learning_rate 1e30",
        f"{SEARCH} --search.learning_rate 1e30 --search.epochs 2 --search.warmup_epochs 1 --search.batch_size 5",
    ],
)
def test_divergence_names_the_last_good_state(command: str, place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(f"{command} --out new --checkpoint_every 1".split()) == 2
    error = capsys.readouterr().err
    assert error.startswith("rnas: error: step ")
    assert "not finite" in error or "is nan" in error
    assert error.endswith(
        "; the last good state is new/checkpoint.pt; going on from there would end here again: "
        "choose a lower learning_rate or gradient_clip, and another --out\n"
    )
    state = torch.load(place / "new" / "checkpoint.pt", weights_only=True)
    network = state["network" if "network" in state else "supernet"]
    assert all(bool(tensor.isfinite().all()) for tensor in network.values())


def test_a_run_is_recognised_elsewhere(place: Path) -> None:
    """A checkpoint is refused for what decides its numbers, not for its place, its device or how often it was saved."""
    (place / "half").rename(place / "moved")
    assert main(f"{RESNET} --out moved --device cpu --checkpoint_every 9".split()) == 0
    assert (place / "moved/weights.safetensors").read_bytes() == (place / "train/weights.safetensors").read_bytes()
