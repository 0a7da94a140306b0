"""What a user can do wrong costs one line, exit code 2, and nothing of what was there before."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file, save_file
from tests.bad_input.things import ATTACK, CELLS, RESNET, SEARCH, TRAIN, change_json
from tests.refusals import Refused

from rnas.run.checkpoints import save_tensors
from rnas.run.integrity import KEY


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
def test_one_line_and_nothing_lost(name: str, place: Path, refused: Refused) -> None:
    case = CASES[name]
    case.damage()
    refused(case.command, *case.says)
    # Nor does a run that failed before its first step leave a directory.
    assert not (place / "new").exists()


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
