"""A folder of runs and data, made once, of which each test gets a copy."""

from __future__ import annotations

import shutil
from pathlib import Path

import datasets
import pytest
from tests.bad_input.things import CELLS, RESNET, SEARCH, YAML, change_json, write_images

from rnas.cli import main


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished search, a finished and an unfinished training, one of another seed, and damaged data."""
    folder = tmp_path_factory.mktemp("made")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("RNAS_CACHE", str(folder / ".cache"))
        for command in (
            f"{SEARCH} --out search",
            f"{RESNET} --out train",
            f"{RESNET} --out other --seed 1",
            f"{CELLS} --network.genotype search/genotype.json --out cells",
        ):
            assert main(command.split()) == 0
        for name in ("half", "unfinished_search"):
            shutil.copytree("train" if name == "half" else "search", name)
            change_json(Path(name, "manifest.json"), lambda manifest: manifest.update(finished=None))
        Path("half/weights.safetensors").unlink()
        Path("recipe").mkdir()
        shutil.copytree("train", "recipe/resnet18")
        write_images(Path("pair"), {"cat": 2, "dog": 2})
        write_images(Path("three"), {"ant": 4, "bee": 4, "cow": 4})
        write_images(Path("vacant"), {"cat": 4, "dog": 0})
        Path("parquet").mkdir()
        whole = Path("parquet/train-00000-of-00001.parquet")
        datasets.Dataset.from_dict({"label": list(range(100))}).to_parquet(whole)
        whole.write_bytes(whole.read_bytes()[:-20])
        Path("nothing").mkdir()
        Path("file").write_text("no folder\n")
        Path("mine").mkdir()
        Path("mine/notes.txt").write_text("not a run\n")
        for name, text in YAML.items():
            Path(name).write_text(text)
    return folder  # where the working directory is again what it was


@pytest.fixture
def place(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of what was made, as the working directory."""
    folder = tmp_path / "place"
    shutil.copytree(made, folder)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("RNAS_CACHE", str(tmp_path / "cache"))
    return folder
