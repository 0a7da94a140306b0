"""Runs of older versions load, go on, are evaluated and reported.

`without_a_space.tar.xz` was made by commit 42e8873, before genotype.json said which space it belongs to: in both spaces
a search killed in its last epoch or among its candidates, and a trained network; a finished search beside them.
"""

from __future__ import annotations

import json
import tarfile
from pathlib import Path

import pytest
import torch

import rnas
from rnas.cli import main
from rnas.genotype import Genotype

ARCHIVE = Path(__file__).parent / "data_of_older_versions" / "without_a_space.tar.xz"
SPACES = ("darts", "nasbench201")


@pytest.fixture
def older(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the runs, a fresh copy."""
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(tmp_path, filter="data")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("space", SPACES)
def test_a_killed_search_goes_on(space: str, older: Path) -> None:
    folder = older / f"killed_{space}"
    before = (folder / "metrics.jsonl").read_bytes()
    weights = folder / "candidates" / "0" / "weights.safetensors"
    trained = weights.read_bytes() if weights.exists() else b""
    assert not (folder / "results.json").exists()
    assert main(["search", "--resume", str(folder)]) == 0
    assert (folder / "metrics.jsonl").read_bytes().startswith(before[: len(before) // 2])
    steps = [json.loads(line)["step"] for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert max(steps) == 7  # three epochs of three steps, the last without its projection
    assert json.loads((folder / "results.json").read_text())["space"] == space
    if trained:
        assert weights.read_bytes() == trained
        assert (folder / "candidates" / "1" / "weights.safetensors").exists()
    assert Genotype.load(folder).space == space
    assert Genotype.load(folder / "../search_darts").space is None
    assert Genotype.load(folder).kinds == (("cell",) if space == "nasbench201" else ("normal", "reduce"))
    assert main(["report", str(folder)]) == 0


@pytest.mark.parametrize("space", SPACES)
def test_a_trained_network_is_loaded_and_evaluated(space: str, older: Path) -> None:
    folder = older / f"trained_{space}"
    network = rnas.load(folder)
    assert type(network).__name__ == {"darts": "CellNetwork", "nasbench201": "NasBench201Network"}[space]
    assert network(torch.rand(2, 1, 8, 8)).shape == (2, 10)
    evaluation = ["--evaluation.attacks", "fgsm", "--evaluation.images", "10", "--threads", "1"]
    assert main(["evaluate", str(folder), *evaluation]) == 0
    assert main(["report", str(folder)]) == 0


@pytest.mark.parametrize("space", SPACES)
def test_a_training_is_of_the_same_cells(space: str, older: Path) -> None:
    """A finished one is not repeated, though its genotype is read anew."""
    folder = older / f"trained_{space}"
    before = (folder / "manifest.json").read_bytes()
    assert main(["train", "--resume", str(folder), "--network.genotype", str(folder / "genotype.json")]) == 0
    assert (folder / "manifest.json").read_bytes() == before


def test_a_finished_search_is_not_repeated(older: Path) -> None:
    before = (older / "search_darts" / "genotype.json").read_bytes()
    assert main(["search", "--resume", str(older / "search_darts")]) == 0
    assert (older / "search_darts" / "genotype.json").read_bytes() == before
    assert not (older / "search_darts" / "checkpoint.pt").exists()
