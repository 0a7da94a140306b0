"""Outcomes kept in a folder: a killed evaluation ends as an uninterrupted one, and nothing foreign is taken for it."""

import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import torch
from torch import Tensor, nn

from rnas.errors import ModelError, RunError
from rnas.evaluation import EvaluationSettings, evaluate, read_outcomes
from rnas.evaluation.fingerprints import images_fingerprint, model_fingerprint

SETTINGS: dict[str, Any] = {"eps": 0.05, "seed": 5, "settings": EvaluationSettings(batch_size=4)}


def of_batch(size: int, **settings: Any) -> dict[str, Any]:
    """The settings with another batch size, or other ones."""
    return {**SETTINGS, "settings": EvaluationSettings(batch_size=size, **settings)}


ATTACKS = ("fgsm", "pgd20", "cw")


class KilledError(Exception):
    """Stands for the end of the process."""


def problem() -> tuple[nn.Module, Tensor, Tensor]:
    """A random network and 10 images, most of which it gets right."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 3, 2), nn.BatchNorm2d(3), nn.ReLU(), nn.Flatten(), nn.Linear(12, 4))
    images = torch.rand(10, 1, 3, 3)
    labels = model.eval()(images).argmax(dim=1)
    labels[3] = (labels[3] + 1) % 4
    return model, images, labels


def killer(batches: int) -> Any:
    """A progress function that ends everything after so many batches."""
    left = [batches]

    def progress(**_: object) -> None:
        left[0] -= 1
        if not left[0]:
            raise KilledError

    return progress


class Counting(nn.Module):
    """Counts its passes."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner, self.passes = inner, 0

    def forward(self, images: Tensor) -> Tensor:
        self.passes += 1
        logits: Tensor = self.inner(images)
        return logits


@pytest.mark.parametrize("batches", range(1, 12))
def test_killed_anywhere_ends_the_same(batches: int, tmp_path: Path) -> None:
    """3 batches of each of clean, FGSM, PGD-20 and C&W; killed after each of them."""
    whole = evaluate(*problem(), ATTACKS, **SETTINGS)
    with pytest.raises(KilledError):
        evaluate(*problem(), ATTACKS, **SETTINGS, folder=tmp_path, progress=killer(batches))
    assert len(read_outcomes(tmp_path / "outcomes.parquet")) == sum([4, 4, 2][batch % 3] for batch in range(batches))
    resumed = evaluate(*problem(), ATTACKS, **SETTINGS, folder=tmp_path)
    assert resumed.outcomes.to_table().equals(whole.outcomes.to_table())
    assert read_outcomes(tmp_path / "outcomes.parquet").to_table().equals(whole.outcomes.to_table())
    assert [path.name for path in tmp_path.iterdir()] == ["outcomes.parquet"]


def test_kill_9(tmp_path: Path) -> None:
    script = f"""
import os, pathlib, signal, sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
from test_evaluation_resume import ATTACKS, SETTINGS, evaluate, problem
def progress(attack, done, **_):
    if (attack, done) == ("PGD-20", 8):
        os.kill(os.getpid(), signal.SIGKILL)
evaluate(*problem(), ATTACKS, **SETTINGS, folder=pathlib.Path({str(tmp_path)!r}), progress=progress)
"""
    killed = subprocess.run([sys.executable, "-c", script], check=False)
    assert killed.returncode == -signal.SIGKILL
    resumed = evaluate(*problem(), ATTACKS, **SETTINGS, folder=tmp_path)
    assert resumed.outcomes.to_table().equals(evaluate(*problem(), ATTACKS, **SETTINGS).outcomes.to_table())


def test_a_finished_evaluation_is_not_repeated_and_can_be_extended(tmp_path: Path) -> None:
    model, images, labels = problem()
    counting = Counting(model)
    short = evaluate(counting, images, labels, ("fgsm",), **SETTINGS, folder=tmp_path)
    counting.passes = 0
    again = evaluate(counting, images, labels, ("fgsm",), **SETTINGS, folder=tmp_path)
    # Two to see that the model takes the images, one a batch to compare the view that is attacked.
    assert counting.passes == 2 + len(images.split(4))
    assert again.to_json() == short.to_json()  # the seconds as well
    assert again.sanity == short.sanity
    assert again.outcomes.to_table().equals(short.outcomes.to_table())

    calls: list[tuple[str, int]] = []
    longer = evaluate(
        counting,
        images,
        labels,
        ("pgd20", "fgsm"),
        **SETTINGS,
        folder=tmp_path,
        progress=lambda attack, done, **_: calls.append((attack, done)),
    )
    assert calls == [("Clean", 10), ("PGD-20", 4), ("PGD-20", 8), ("PGD-20", 10), ("FGSM", 10)]
    assert [row.name for row in longer.rows] == ["clean", "pgd20", "fgsm", "worst_case"]
    assert longer["fgsm"] == short["fgsm"]
    assert longer["pgd20"].robust == evaluate(*problem(), ("pgd20",), **SETTINGS)["pgd20"].robust
    # Asking for less afterwards gives less, and the file keeps the rest.
    assert [row.name for row in evaluate(counting, images, labels, (), **SETTINGS, folder=tmp_path).rows] == ["clean"]
    assert set(read_outcomes(tmp_path / "outcomes.parquet").attack) == {"clean", "fgsm", "pgd20"}


def test_sanity_is_checked_again_at_another_eps(tmp_path: Path) -> None:
    first, second = (
        evaluate(*problem(), ("fgsm",), **{**SETTINGS, "eps": eps}, folder=tmp_path / str(eps)) for eps in (0.05, 0.2)
    )
    assert first.examined != second.examined
    evaluate(*problem(), ("cw",), **{**SETTINGS, "eps": 0.2}, folder=tmp_path / "0.05")
    mixed = evaluate(*problem(), ("cw",), **SETTINGS, folder=tmp_path / "0.05")
    assert mixed.examined == first.examined
    again = evaluate(*problem(), ("cw",), **{**SETTINGS, "eps": 0.2}, folder=tmp_path / "0.05")
    assert again.examined == second.examined


def test_more_images_extend_a_shorter_evaluation(tmp_path: Path) -> None:
    """What was attacked before stays to the bit; the rest is attacked; what is asked for is what is returned."""
    short = evaluate(*problem(), ("fgsm", "pgd20"), **of_batch(4, images=5), folder=tmp_path)
    assert {row.images for row in short.rows} == {5}
    calls: list[tuple[str, int, int]] = []
    longer = evaluate(
        *problem(),
        ("pgd20",),
        **of_batch(4, images=8),
        folder=tmp_path,
        progress=lambda attack, done, total, **_: calls.append((attack, done, total)),
    )
    # 5 of each are there: the other 3 are less than a batch.
    assert calls == [("Clean", 5, 8), ("Clean", 8, 8), ("PGD-20", 5, 8), ("PGD-20", 8, 8)]
    assert {row.images for row in longer.rows} == {8}
    assert longer.outcomes.on(short.outcomes.image).of("pgd20").to_table().equals(short.outcomes.of("pgd20").to_table())
    whole = evaluate(*problem(), ("fgsm", "pgd20"), **SETTINGS, folder=tmp_path)
    assert {row.images for row in whole.rows} == {10}
    assert whole.outcomes.of("pgd20").image.tolist() == list(range(10))
    # FGSM has no randomness, so it is that of an evaluation of all images at once.
    assert whole["fgsm"].robust == evaluate(*problem(), ("fgsm",), **SETTINGS)["fgsm"].robust
    broken = whole.outcomes.of("fgsm").broken | whole.outcomes.of("pgd20").broken
    assert whole["worst_case"].robust == int((~broken).sum())
    # Asking for fewer again attacks nothing.
    begun = (tmp_path / "outcomes.parquet").stat().st_mtime_ns
    again = evaluate(*problem(), ("fgsm", "pgd20"), **of_batch(4, images=5), folder=tmp_path)
    assert again.outcomes.to_table().equals(short.outcomes.to_table())
    assert (tmp_path / "outcomes.parquet").stat().st_mtime_ns == begun


def test_another_batch_size_goes_on_with_what_is_left(tmp_path: Path) -> None:
    """As after a device ran out of memory."""
    with pytest.raises(KilledError):
        evaluate(*problem(), ("fgsm",), **SETTINGS, folder=tmp_path, progress=killer(4))
    resumed = evaluate(*problem(), ("fgsm",), **of_batch(3), folder=tmp_path)
    whole = evaluate(*problem(), ("fgsm",), **SETTINGS)
    assert resumed["fgsm"].robust == whole["fgsm"].robust
    assert resumed.outcomes.image.tolist() == whole.outcomes.image.tolist()


def test_killed_while_it_was_extended(tmp_path: Path) -> None:
    evaluate(*problem(), ("pgd20",), **of_batch(4, images=5), folder=tmp_path / "whole")
    whole = evaluate(*problem(), ("pgd20",), **of_batch(2), folder=tmp_path / "whole")
    evaluate(*problem(), ("pgd20",), **of_batch(4, images=5), folder=tmp_path / "killed")
    with pytest.raises(KilledError):
        evaluate(*problem(), ("pgd20",), **of_batch(2), folder=tmp_path / "killed", progress=killer(6))
    again = evaluate(*problem(), ("pgd20",), **of_batch(2), folder=tmp_path / "killed")
    assert again.outcomes.to_table().equals(whole.outcomes.to_table())


def test_extended_by_autoattack_on_fewer_images(tmp_path: Path) -> None:
    settings = {**SETTINGS, "eps": 0.9}
    few = {"settings": EvaluationSettings(batch_size=4, autoattack_images=5)}
    _, images, labels = problem()
    given = nn.Sequential(nn.Flatten(), nn.Linear(9, 4)), images, labels
    evaluate(*given, ("fgsm",), **settings, folder=tmp_path)
    evaluation = evaluate(*given, ("fgsm", "autoattack"), **{**settings, **few}, folder=tmp_path)
    assert evaluation["autoattack"].images == 5
    assert evaluate(*given, ("autoattack",), **settings, folder=tmp_path)["autoattack"].images == 10


def test_foreign_outcomes_are_refused(tmp_path: Path) -> None:
    model, images, labels = problem()
    evaluate(model, images, labels, ("fgsm",), **SETTINGS, folder=tmp_path)
    before = (tmp_path / "outcomes.parquet").read_bytes()
    other = problem()[0]
    with torch.no_grad():
        next(other.parameters())[0] += 1e-6
    cases: list[tuple[str, tuple[nn.Module, Tensor, Tensor], dict[str, Any]]] = [
        ("model", (other, images, labels), {}),
        ("images", (model, images.flip(0), labels), {}),
        ("images", (model, images, labels.flip(0)), {}),
        ("seed", (model, images, labels), {"seed": 6}),
        ("eps of fgsm", (model, images, labels), {"eps": 0.06}),
    ]
    for what, given, changed in cases:
        with pytest.raises(RunError, match=f"holds outcomes for another {what}.* choose another folder") as caught:
            evaluate(*given, ("fgsm",), **{**SETTINGS, **changed}, folder=tmp_path)
        assert "\n" not in str(caught.value)
    assert (tmp_path / "outcomes.parquet").read_bytes() == before


@pytest.mark.parametrize("damage", ["truncated", "flipped", "text", "empty", "other columns", "no metadata", "folder"])
def test_a_damaged_file_is_refused(damage: str, tmp_path: Path) -> None:
    evaluate(*problem(), ("fgsm",), **SETTINGS, folder=tmp_path)
    path = tmp_path / "outcomes.parquet"
    content = path.read_bytes()
    table = pq.read_table(path)
    if damage == "truncated":
        path.write_bytes(content[: len(content) // 2])
    elif damage == "flipped":
        path.write_bytes(content[:8] + bytes(byte ^ 255 for byte in content[8:200]) + content[200:])
    elif damage == "text":
        path.write_text("image,label\n0,1\n")
    elif damage == "empty":
        path.write_bytes(b"")
    elif damage == "other columns":
        pq.write_table(table.drop_columns(["l2"]), path)
    elif damage == "no metadata":
        pq.write_table(table.replace_schema_metadata(None), path)
    else:
        path.unlink()
        path.mkdir()
    with pytest.raises(RunError, match="remove the file or choose another folder") as caught:
        evaluate(*problem(), ("fgsm",), **SETTINGS, folder=tmp_path)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="the threads of a process are listed on Linux only")
def test_reading_outcomes_leaves_no_thread_behind(tmp_path: Path) -> None:
    """Arrow's own threads abort a process whose Python ends before them: the exit code of an error was 134, not 2."""
    evaluate(*problem(), ("fgsm",), **SETTINGS, folder=tmp_path)
    code = f"""
import os, pathlib
from rnas.evaluation import read_outcomes
import rnas.evaluation.session
before = set(os.listdir("/proc/self/task"))
assert len(read_outcomes(pathlib.Path({str(tmp_path)!r}) / "outcomes.parquet")) == 20
print([open(f"/proc/self/task/{{task}}/comm").read() for task in set(os.listdir("/proc/self/task")) - before])
"""
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"


def test_folder_errors(tmp_path: Path) -> None:
    occupied = tmp_path / "file"
    occupied.touch()
    with pytest.raises(RunError, match=r"cannot write to .*file"):
        evaluate(*problem(), (), folder=occupied)
    model, images, labels = problem()
    with pytest.raises(ModelError, match=r"must be a torch\.nn.Module, got function"):
        evaluate(lambda batch: model(batch), images, labels, (), folder=tmp_path)


def test_fingerprints_tell_apart_what_differs() -> None:
    model, images, labels = problem()
    print_of = model_fingerprint(model)
    assert model_fingerprint(model.train()) == print_of
    assert model_fingerprint(model.to(memory_format=torch.channels_last)) == print_of  # type: ignore[call-overload]
    assert model_fingerprint(nn.Sequential(model, nn.Identity())) != print_of
    model[1].register_buffer("shift", torch.zeros(()), persistent=False)  # type: ignore[index]
    assert model_fingerprint(model) != print_of
    levels = (images * 255).round().byte()
    assert images_fingerprint(levels, labels) == images_fingerprint(levels.float() / 255, labels.int())
    assert images_fingerprint(images, labels) != images_fingerprint(images.view(10, 1, 9, 1), labels)
