"""A finished run whose results are gone gives them again without a step, or says in one line what is missing."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from rnas import reports
from rnas.cli import main
from rnas.commands import evaluate, search, train
from rnas.search import candidates
from rnas.training.optimiser import WeightOptimiser

TINY = "--data.limit 60 --threads 1"
SEARCH = (
    f"search {TINY} --search.space nasbench201 --search.channels 2 --search.cells 1 --search.epochs 2 "
    "--search.warmup_epochs 1 --search.batch_size 15 --search.constraint.images 10 "
    "--search.constraint.max_iterations 2 --search.attack.steps 1"
)
SHORTLIST = (
    f"search {TINY} --search.algorithm random --search.space nasbench201 --search.cells 1 --search.channels 2 "
    "--search.epochs 1 --search.warmup_epochs 0 --search.batch_size 15 --search.attack.steps 1 "
    "--search.shortlist.count 2 --search.shortlist.epochs 1 --search.shortlist.images 10"
)
# With a rate so high that the epoch that is kept is not the last.
TRAIN = (
    f"train {TINY} --network.name racl --network.channels 2 --network.cells 1 --training.epochs 4 "
    "--training.batch_size 10 --training.attack.steps 1 --training.learning_rate 1 --training.average_decay 0.9 "
    "--training.validation.images 20"
)
COMMANDS = {"search": SEARCH, "shortlist": SHORTLIST, "train": TRAIN}
LOSSES = [
    ("train", "weights.safetensors", "removed"),
    ("train", "weights.safetensors", "truncated"),
    ("train", "model.json", "removed"),
    ("search", "genotype.json", "removed"),
    ("search", "genotype.json", "truncated"),
    ("search", "alpha.safetensors", "removed"),
    ("search", "results.json", "truncated"),
    ("shortlist", "genotype.json", "removed"),
]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made")
    for name, command in COMMANDS.items():
        assert main([*command.split(), "--out", str(folder / name)]) == 0
    return folder


@pytest.fixture
def place(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of what was made, as the working directory; a step of the optimiser is an error."""
    shutil.copytree(made, tmp_path / "place")
    monkeypatch.chdir(tmp_path / "place")
    monkeypatch.delattr(WeightOptimiser, "step")
    return tmp_path / "place"


def content(folder: Path) -> dict[str, bytes]:
    """All files but the locks, TensorBoard's events, and the manifest, which tells when the run was finished."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name not in (".lock", "manifest.json") and "tfevents" not in path.name
    }


def lose(path: Path, how: str) -> None:
    if how == "removed":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


@pytest.mark.parametrize(("run", "name", "how"), LOSSES)
def test_lost_results_are_made_again(
    run: str, name: str, how: str, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = content(place)
    lose(place / run / name, how)
    assert main([*COMMANDS[run].split(), "--out", run]) == 0
    error = capsys.readouterr().err
    assert name in error
    assert f"{run} was finished: making it again\n" in error
    assert content(place) == before
    assert json.loads((place / run / "manifest.json").read_text())["finished"] is not None
    assert main([run if run == "train" else "search", "--resume", run]) == 0
    assert "making it again" not in capsys.readouterr().err


def test_lost_measures_of_a_candidate_are_made_again(place: Path) -> None:
    before = content(place)
    (place / "shortlist" / "genotype.json").unlink()
    (place / "shortlist" / "candidates" / "1" / "results.json").unlink()
    assert main([*SHORTLIST.split(), "--out", "shortlist"]) == 0
    assert content(place) == before


def test_a_damaged_checkpoint_of_a_whole_run_is_of_no_account(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lose(place / "train" / "checkpoint.pt", "truncated")
    before = content(place)
    assert main(["train", "--resume", "train"]) == 0
    assert capsys.readouterr().err == ""
    assert content(place) == before


@pytest.mark.parametrize(
    ("run", "name", "checkpoint", "reason"),
    [
        ("train", "weights.safetensors", "removed", "there is no train/checkpoint.pt"),
        ("train", "weights.safetensors", "truncated", "train/checkpoint.pt is damaged or truncated"),
        ("search", "genotype.json", "removed", "there is no search/checkpoint.pt"),
    ],
)
def test_what_cannot_be_made_again_is_named(
    run: str, name: str, checkpoint: str, reason: str, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lose(place / run / name, "removed")
    lose(place / run / "checkpoint.pt", checkpoint)
    before = content(place)
    for _ in range(2):
        assert main([run, "--resume", run]) == 2
        error = capsys.readouterr().err
        assert error.startswith("rnas: error: ")
        assert error.count("\n") == 1
        assert f"{run}/{name}" in error
        assert error.endswith(f", and {reason}: restore one of the two from a copy, or choose another --out\n")
        assert content(place) == before


def test_lost_weights_are_told_with_what_to_do(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lose(place / "train" / "weights.safetensors", "truncated")
    assert main(["export", "train"]) == 2
    assert capsys.readouterr().err == (
        "rnas: error: train/weights.safetensors is damaged: its checksum does not fit its content; "
        "run its training again to write it anew\n"
    )
    lose(place / "train" / "weights.safetensors", "removed")
    assert main(["export", "train"]) == 2
    assert "or the file was deleted; run it again to continue" in capsys.readouterr().err


def test_a_recipe_whose_stage_lost_its_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = (
        f"run quickstart {TINY} --search.space nasbench201 --search.cells 1 --search.channels 2 --search.epochs 1 "
        "--search.warmup_epochs 0 "
        "--search.batch_size 20 --search.constraint.bound 1e-6 --search.constraint.images 10 --search.attack.steps 1 "
        "--search.shortlist.count 2 --search.shortlist.epochs 1 --search.constraint.max_iterations 2 "
        "--network.channels 2 --network.cells 1 --baseline.channels 2 --training.epochs 1 --training.batch_size 20 "
        "--training.attack.steps 1 --evaluation.attacks fgsm --evaluation.images 20"
    )
    out = tmp_path / "run"
    monkeypatch.setattr(reports, "report", lambda folder: folder / "report.html")
    assert main([*recipe.split(), "--out", str(out)]) == 0
    assert "bound NOT met: F / H = " in capsys.readouterr().out
    weights = out / "resnet18" / "weights.safetensors"
    before = weights.read_bytes()
    weights.unlink()
    monkeypatch.delattr(WeightOptimiser, "step")
    assert main([*recipe.split(), "--out", str(out)]) == 0
    assert weights.read_bytes() == before
    # With everything in its place no stage is entered.
    for module, name in ((search, "search"), (train, "train"), (candidates, "train"), (evaluate, "evaluate")):
        monkeypatch.delattr(module, name)
    assert main([*recipe.split(), "--out", str(out)]) == 0
