"""What a user can do wrong costs one line, exit code 2, and nothing of what was there before."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import pickle
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from rnas.cli import main
from rnas.run import metrics
from rnas.run.checkpoints import save_tensors
from rnas.run.integrity import KEY, seal_document

TINY = "--data.limit 40 --checkpoint_every 2 --threads 1"
SEARCH = (
    f"search {TINY} --search.channels 2 --search.cells 3 --search.epochs 1 --search.warmup_epochs 0 "
    "--search.batch_size 20 --search.constraint.images 10 --search.attack.steps 1"
)
TRAIN = f"train {TINY} --training.epochs 3 --training.batch_size 8 --training.attack.steps 1 --network.channels 2"
RESNET = f"{TRAIN} --network.name resnet18"
CELLS = f"{TRAIN} --network.cells 3"
ATTACK = "--evaluation.attacks fgsm --evaluation.images 20 --threads 1"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
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
        yield folder


YAML = {
    "unknown.yaml": "search:\n  epoch: 3\n",
    "typed.yaml": "training:\n  epochs: many\n",
    "broken.yaml": "search: [1, 2\n",
    "list.yaml": "- search\n",
}


def write_images(folder: Path, counts: dict[str, int]) -> None:
    for name, count in counts.items():
        (folder / name).mkdir(parents=True)
        for index in range(count):
            pixels = np.random.default_rng([len(name), ord(name[0]), index]).integers(0, 256, (8, 8, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{index}.png")


@pytest.fixture
def place(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of what was made, as the working directory."""
    folder = tmp_path / "place"
    shutil.copytree(made, folder)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("RNAS_CACHE", str(tmp_path / "cache"))
    return folder


def content(folder: Path) -> dict[str, str]:
    """A hash of every file but the locks, which hold nothing."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != ".lock"
    }


def change_json(path: Path, change: Callable[[Any], object]) -> None:
    document = json.loads(path.read_text())
    change(document)
    path.write_bytes(seal_document(document))


def cut(path: str) -> Callable[[], object]:
    """Damage: the second half of a file is lost."""
    return lambda: Path(path).write_bytes(Path(path).read_bytes()[: Path(path).stat().st_size // 2])


def write(path: str, text: str) -> Callable[[], object]:
    """Damage: a file holds something else."""
    return lambda: Path(path).write_text(text)


def copy(source: str, target: str) -> Callable[[], object]:
    """Damage: a file of one folder is put into another."""
    return lambda: shutil.copy(source, target)


def edit(path: str, change: Callable[[Any], object]) -> Callable[[], object]:
    """Damage: a JSON file is changed."""
    return lambda: change_json(Path(path), change)


def first_edge(document: Any) -> Any:
    return document["cells"]["normal"]["nodes"][0][0]


def other_cells() -> None:
    change_json(Path("cells/manifest.json"), lambda manifest: manifest.update(finished=None))
    change_json(Path("search/genotype.json"), lambda document: document["cells"].update(normal=OTHER_CELL))


OTHER_CELL = {"nodes": [[{"op": "skip_connect", "from": 1}]] * 4, "concat": [2, 3, 4, 5]}


def drop_a_weight() -> None:
    state = load_file("train/weights.safetensors")
    del state["classifier.weight"]
    save_tensors(Path("train/weights.safetensors"), state)


def change_older_manifest(change: Callable[[Any], object]) -> Callable[[], object]:
    """Damage: the manifest of a training is changed, and no file has a checksum, as older versions left them."""

    def damage() -> None:
        for name in ("manifest.json", "model.json"):
            path = Path("train", name)
            document = json.loads(path.read_text())
            del document[KEY]
            if name == "manifest.json":
                change(document)
            path.write_text(json.dumps(document))
        save_file(load_file("train/weights.safetensors"), "train/weights.safetensors")

    return damage


@dataclass(frozen=True)
class Case:
    """A wrong command.

    Args:
        command: its arguments.
        says: what its one line must hold.
        damage: what happens to the files before.
    """

    command: str
    says: tuple[str, ...]
    damage: Callable[[], object] = lambda: None


GENOTYPE = f"{CELLS} --out new --network.genotype search/genotype.json"
CASES = {
    # The command line
    "unknown command": Case("serch", ("'serch'", "did you mean 'search'?")),
    "unknown recipe": Case("run quikstart", ("'quikstart'", "did you mean 'quickstart'?", "small-cifar10")),
    "no recipe": Case("run", ("rnas run RECIPE", "quickstart")),
    "two recipes": Case("run quickstart small-cifar10", ("expected one recipe",)),
    "unknown setting": Case(f"{SEARCH} --search.constraint.bond 1", ("did you mean --search.constraint.bound?",)),
    "unknown setting, evaluate": Case("evaluate train --evaluation.ep 1", ("did you mean --evaluation.eps?",)),
    "unknown setting in a file": Case(
        "search --config unknown.yaml", ("search.epoch", "did you mean --search.epochs?")
    ),
    "wrong type": Case(f"{SEARCH} --search.epochs many", ("search.epochs: expected int, got 'many'",)),
    "wrong type, a fraction of an epoch": Case(f"{SEARCH} --search.epochs 2.5", ("search.epochs", "int", "2.5")),
    "wrong type in a file": Case("train --config typed.yaml", ("training.epochs", "int", "'many'")),
    "no YAML": Case("search --config broken.yaml", ("config", "line 2")),
    "YAML of a list": Case("search --config list.yaml", ("config: expected settings by name", "search")),
    "missing file of settings": Case("search --config missing.yaml", ("config", "missing.yaml")),
    "resume nothing": Case("train --resume missing", ("--resume", "missing is not a run directory")),
    "resume no folder": Case("train --resume", ("--resume: expected a run directory",)),
    "report without a run": Case("report", ("rnas report RUN",)),
    "evaluate without a model": Case("evaluate", ("rnas evaluate MODEL",)),
    # Values
    "eps below 0": Case(f"{SEARCH} --search.attack.eps -0.1", ("search.attack.eps", ">= 0", "-0.1")),
    "eps no number": Case("evaluate train --evaluation.eps big", ("evaluation.eps", "8/255", "'big'")),
    "eps above 1": Case(f"{RESNET} --training.attack.eps 8", ("training.attack.eps", "[0, 1]", "8")),
    "step of 0": Case(f"{RESNET} --training.attack.step_size 0", ("training.attack.step_size", "(0, 1]")),
    "H of 0": Case(f"{SEARCH} --search.constraint.bound 0", ("search.constraint.bound", "H > 0", "50%", "0.0")),
    "H below 0": Case(f"{SEARCH} --search.constraint.bound -1", ("search.constraint.bound", "H > 0", "-1")),
    "H below 0%": Case("run quickstart --search.constraint.bound=-5%", ("search.constraint.bound", "'-5%'")),
    "H no number": Case(f"{SEARCH} --search.constraint.bound abc", ("search.constraint.bound", "'abc'")),
    "H no percentage": Case(f"{SEARCH} --search.constraint.bound abc%", ("search.constraint.bound", "'abc%'")),
    "H relative to nothing": Case(
        f"{SEARCH} --search.attack.eps 0 --search.constraint.bound 50%", ("search.constraint.bound", "eps is 0", "50%")
    ),
    "unknown metric": Case(
        f"{SEARCH} --search.constraint.metric klx", ("search.constraint.metric", "'klx'", "did you mean 'kl'?")
    ),
    "unknown solver": Case(
        f"{SEARCH} --search.constraint.solver linear", ("search.constraint.solver", "did you mean 'linearised'?")
    ),
    "unknown hypergradient": Case(
        f"{SEARCH} --search.hypergradient first", ("search.hypergradient", "did you mean 'first_order'?")
    ),
    "unknown algorithm": Case(f"{SEARCH} --search.algorithm rna", ("search.algorithm", "did you mean 'rnas'?")),
    "unknown objective": Case(f"{RESNET} --training.objective pgdat", ("training.objective", "did you mean 'pgd_at'?")),
    "unknown objective of a recipe": Case(
        "run quickstart --out new --training.objective pgdat", ("training.objective", "did you mean 'pgd_at'?")
    ),
    "unknown attack": Case("evaluate train --evaluation.attacks pgd", ("evaluation", "did you mean 'pgd20'?", "apgd")),
    "batch of 0": Case(f"{RESNET} --training.batch_size 0", ("training.batch_size", ">= 2", "got 0")),
    "batch of 1": Case(f"{SEARCH} --search.batch_size 1", ("search.batch_size", ">= 2", "got 1")),
    "seed below 0": Case(f"{SEARCH} --seed -1", ("seed", ">= 0", "-1")),
    "no thread": Case("evaluate train --threads 0", ("threads", ">= 1", "got 0")),
    "unknown device": Case(f"{RESNET} --device potato --out new", ("device", "'potato'", "cpu")),
    "missing device": Case(f"evaluate train {ATTACK} --device cuda:99", ("device", "'cuda:99' is not available")),
    # Data
    "unknown data": Case(f"{SEARCH} --out new --data digit", ("'digit'", "did you mean 'digits'?", "cifar10")),
    "missing data": Case(f"{SEARCH} --out new --data ./absent", ("./absent", "no such file or folder")),
    "missing data of a recipe": Case("run quickstart --out new --data /absent/x", ("/absent/x", "no such file")),
    "data without a name": Case(f"{SEARCH} --data", ("--data: expected a name or a path",)),
    "truncated parquet": Case(f"{RESNET} --out new --data ./parquet", ("train-00000-of-00001.parquet",)),
    "empty folder of data": Case(f"{RESNET} --out new --data ./nothing", ("nothing",)),
    "class without images": Case(f"{RESNET} --out new --data ./vacant", ("dog",)),
    "limit below the classes": Case(f"{SEARCH} --out new --data.limit 5", ("limit of 5", "10 classes")),
    "limit of 0": Case(f"{SEARCH} --out new --data.limit 0", ("data.limit", "> 0", "got 0")),
    "too few images for two halves": Case(f"{SEARCH} --out new --data ./pair", ("at least 4", "there are 2")),
    "column of data without columns": Case(f"{RESNET} --out new --data.image_column img", ("digits", "'img'")),
    # Networks
    "unknown network": Case(f"{TRAIN} --out new --network.name resnet81", ("network", "did you mean 'resnet18'?")),
    "unknown baseline": Case("run quickstart --out new --baseline.name vgg", ("baseline", "'vgg'", "resnet18")),
    "name and genotype": Case(
        f"{RESNET} --out new --network.genotype search/genotype.json", ("network", "resnet18", "both", "genotype.json")
    ),
    "neither name nor genotype": Case(f"{TRAIN} --out new", ("network", "genotype.json", "neither")),
    "cells of no cells": Case(f"{RESNET} --out new --network.cells 4", ("network.cells", "'resnet18'", "got 4")),
    "missing genotype": Case(f"{CELLS} --out new --network.genotype absent.json", ("absent.json",)),
    "truncated genotype": Case(GENOTYPE, ("search/genotype.json is damaged", "checksum"), cut("search/genotype.json")),
    "damaged edge": Case(
        GENOTYPE,
        ("search/genotype.json", "cell 'normal', node 2, edge 0", "'from' should be int"),
        edit("search/genotype.json", lambda document: first_edge(document).update({"from": "1"})),
    ),
    "edge from a later node": Case(
        GENOTYPE,
        ("search/genotype.json", "cell 'normal', node 2, edge 0", "reads node 5", "0 to 1"),
        edit("search/genotype.json", lambda document: first_edge(document).update({"from": 5})),
    ),
    "unknown operation": Case(
        GENOTYPE,
        ("search/genotype.json", "cell 'normal', node 2, edge 0", "did you mean 'sep_conv_3x3'?"),
        edit("search/genotype.json", lambda document: first_edge(document).update(op="sep_conv_3x4")),
    ),
    "other cells meanwhile": Case(
        f"{CELLS} --network.genotype search/genotype.json --out cells",
        ("cells", "other cells"),
        other_cells,
    ),
    # Run directories
    "no such place": Case(f"{RESNET} --out /proc/nope/x", ("/proc/nope/x", "choose another --out")),
    "a file in the way": Case(f"{RESNET} --out file/x", ("file/x", "choose another --out")),
    "a file instead": Case(f"{SEARCH} --out file", ("file", "choose another --out")),
    "no run directory": Case(f"{RESNET} --out mine", ("mine is not a run directory", "notes.txt")),
    "a search instead of a training": Case(f"{RESNET} --out search", ("search", "'search', expected 'train'")),
    "a training instead of a recipe": Case("run quickstart --out half", ("half", "'train', expected 'run'")),
    "changed setting": Case(
        f"{RESNET} --training.momentum 0.5 --out half", ("training.momentum = 0.9, now 0.5", "half/config.yaml")
    ),
    "changed setting of a finished run": Case(f"{RESNET} --seed 4 --out train", ("seed = 0, now 4",)),
    "truncated manifest": Case(f"{RESNET} --out half", ("half/manifest.json is damaged",), cut("half/manifest.json")),
    "manifest of a list": Case(f"{RESNET} --out half", ("manifest.json", "list"), write("half/manifest.json", "[]")),
    "manifest without settings": Case(
        f"evaluate train {ATTACK}",
        ("train/manifest.json is damaged", "'config'", "dict", "str"),
        change_older_manifest(lambda manifest: manifest.update(config="x")),
    ),
    "manifest without data": Case(
        f"evaluate train {ATTACK}",
        ("train/manifest.json is damaged", "data"),
        change_older_manifest(lambda manifest: manifest["config"].pop("data")),
    ),
    "report of a damaged manifest": Case("report train", ("train/manifest.json", "JSON"), cut("train/manifest.json")),
    "report of damaged metrics": Case(
        "report train", ("train/metrics.jsonl is not what", "damaged"), write("train/metrics.jsonl", "{]\n")
    ),
    "report of an empty folder": Case("report nothing", ("nothing", "nothing to report")),
    "report of a missing folder": Case("report absent", ("absent", "no such folder")),
    "lost metrics": Case(f"{RESNET} --out half", ("half/metrics.jsonl", "lost lines"), cut("half/metrics.jsonl")),
    # Checkpoints and weights
    "truncated checkpoint": Case(
        f"{RESNET} --out half", ("half/checkpoint.pt is damaged or truncated", "delete it"), cut("half/checkpoint.pt")
    ),
    "truncated checkpoint of a search": Case(
        f"{SEARCH} --out unfinished_search", ("search/checkpoint.pt",), cut("unfinished_search/checkpoint.pt")
    ),
    "empty checkpoint": Case(
        f"{RESNET} --out half", ("half/checkpoint.pt is damaged",), write("half/checkpoint.pt", "")
    ),
    "no checkpoint at all": Case(
        f"{RESNET} --out half", ("half/checkpoint.pt",), write("half/checkpoint.pt", "hello\n")
    ),
    "foreign checkpoint": Case(
        f"{RESNET} --out half",
        ("half/checkpoint.pt belongs to another run",),
        copy("other/checkpoint.pt", "half/checkpoint.pt"),
    ),
    "checkpoint of a search": Case(
        f"{RESNET} --out half",
        ("half/checkpoint.pt belongs to another run",),
        copy("search/checkpoint.pt", "half/checkpoint.pt"),
    ),
    "evaluate nothing": Case("evaluate absent", ("absent", "no trained network", "module:function")),
    "evaluate a search": Case("evaluate search", ("search", "no trained network")),
    "evaluate what holds networks": Case("evaluate recipe", ("recipe", "did you mean recipe/resnet18?")),
    "evaluate the untrained": Case(f"evaluate half {ATTACK}", ("half", "training has not finished")),
    "weights of another network": Case(
        f"evaluate train {ATTACK}",
        ("train/weights.safetensors and train/manifest.json are of two runs",),
        copy("cells/weights.safetensors", "train/weights.safetensors"),
    ),
    "weights of another width": Case(
        f"evaluate train {ATTACK}",
        ("train/weights.safetensors", "has shape", "the network expects"),
        edit("train/model.json", lambda document: document.update(channels=4)),
    ),
    "missing weight": Case(f"evaluate train {ATTACK}", ("'classifier.weight' are missing",), drop_a_weight),
    "truncated weights": Case(
        f"evaluate train {ATTACK}", ("train/weights.safetensors is damaged",), cut("train/weights.safetensors")
    ),
    "damaged model": Case(f"evaluate train {ATTACK}", ("train/model.json is damaged",), cut("train/model.json")),
    "other classes": Case(
        f"evaluate train {ATTACK} --data ./three", ("train", "cannot take images of shape (3, 8, 8)")
    ),
    "damaged outcomes": Case(
        f"evaluate train {ATTACK}", ("train/outcomes.parquet",), write("train/outcomes.parquet", "PAR1")
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_one_line_and_nothing_lost(name: str, place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    case = CASES[name]
    case.damage()
    before = content(place)
    assert main(case.command.split()) == 2
    output = capsys.readouterr()
    assert output.out == ""
    errors = [
        line for line in output.err.splitlines() if not line.startswith(("training ", "searching ", "Generating"))
    ]
    assert len(errors) == 1, output.err
    assert errors[0].startswith("rnas: error: ")
    for words in case.says:
        assert words in errors[0]
    # Nor does a run that failed before its first step leave a directory.
    assert not (place / "new").exists()
    assert content(place) == before


@pytest.mark.parametrize(
    ("command", "says"),
    [
        ("trian", "did you mean 'train'?"),
        (f"{RESNET} --training.epochs 0", "training.epochs: expected an integer >= 1, got 0"),
        ("evaluate absent", "absent holds no trained network"),
    ],
)
def test_a_real_process_tells_no_more(command: str, says: str, place: Path) -> None:
    code = "import sys; from rnas.cli import main; sys.exit(main())"
    ended = subprocess.run([sys.executable, "-c", code, *command.split()], capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert ended.stdout == ""
    assert ended.stderr.startswith("rnas: error: ")
    assert ended.stderr.count("\n") == 1
    assert says in ended.stderr
    assert place.exists()


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
