"""Documents of a run in which one field is something else are refused in one line by what reads them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rnas.commands.comparing import training_data
from rnas.commands.each_model import earlier_results, eps_of
from rnas.config import Distance
from rnas.errors import RunError
from rnas.models.resolve import LoadedModel
from rnas.models.spec import NetworkSpec
from rnas.reports.layers import LayerRow, layers_csv, read_layers
from rnas.run.benchmark_results import FoundCell, Interval, read_benchmark_results
from rnas.run.contents import read_folder
from rnas.run.manifest import describe, read_manifest
from rnas.run.results import read_results
from rnas.run.search_results import read_search_results

CALL = {"command": "rnas evaluate m", "seed": 0, "hardware": {"cpu": "c", "cores": 2}, "versions": {"torch": "2"}}
ROW = {"name": "fgsm", "images": 10, "accuracy": 0.5, "low": 0.2, "high": 0.8, "call": 0}
RESULTS = {"model": {"name": "m"}, "data": {}, "eps": {"value": "8/255", "from": "training"}, "attacks": [ROW]}
FIGURES = [name for name in FoundCell.__dataclass_fields__ if name not in ("algorithm", "seed", "cell")]
SEARCH = {"algorithm": "random", "seed": 0, "cell": "", **dict.fromkeys(FIGURES, 1)}
DOCUMENTS: dict[str, dict[str, Any]] = {
    "results.json": RESULTS | {"calls": [CALL]},
    "model.json": {"network": "resnet18", "num_classes": 10, "in_channels": 1, "image_size": [8, 8]},
    "manifest.json": describe(
        "train", {"data": {"source": "digits"}, "training": {"attack": {"eps": "8/255"}}}, seed=0, device="cpu"
    ),
    "benchmark": {"searches": [SEARCH], "means": dict.fromkeys(FIGURES, Interval(1).to_json())},
    "found": {"F": 1e-4, "H": None, "parameters": 3, "passes": 2, "size_limit": None},
}


def eps_in(folder: Path) -> None:
    model: Any = None
    eps_of(LoadedModel("m", "m", "run", model, folder), None)


READERS: dict[str, tuple[str, Callable[[Path], object]]] = {
    "results": ("results.json", lambda folder: read_results(folder / "results.json")),
    "before": ("results.json", earlier_results),
    "report": ("manifest.json", read_folder),
    "model": ("model.json", NetworkSpec.load),
    "manifest": ("manifest.json", read_manifest),
    "data": ("manifest.json", training_data),
    "eps": ("manifest.json", eps_in),
    "benchmark": ("benchmark", read_benchmark_results),
    "found": ("found", read_search_results),
}

BREAK: list[tuple[str, str, Any]] = [
    ("results", "calls", []),
    ("before", "calls", []),
    ("results", "calls.0.hardware", "x"),
    ("results", "calls.0.versions", [1]),
    ("before", "attacks", [1]),
    ("results", "attacks.0.name", None),
    ("results", "eps", {"from": "training"}),
    ("results", "eps.value", [1]),
    ("model", "cells", "x"),
    ("model", "channels", -1),
    ("model", "channels", 10**9),
    ("model", "image_size", -1),
    ("model", "image_size", [8, True]),
    ("model", "network", {}),
    ("model", "num_classes", 1.5),
    ("manifest", "config.training", -1),
    ("manifest", "config.training.attack", [1]),
    ("manifest", "seed", True),
    ("report", "kind", [1]),
    ("report", "hardware", "x"),
    ("report", "early_stop", {"epoch": 1}),
    ("data", "config.data", None),
    ("data", "config.data.source", 1.5),
    ("data", "config.data.pixels", "x"),
    ("eps", "config.training.attack.eps", [1]),
    ("benchmark", "searches", []),
    ("benchmark", "searches", [1]),
    ("benchmark", "searches.0.robust_accuracy", "x"),
    ("benchmark", "searches.0.cell", 1),
    ("benchmark", "searches.0.robust_rank", 1.5),
    ("benchmark", "means", []),
    ("benchmark", "means.passes", None),
    ("benchmark", "means.passes.mean", None),
    ("found", "H", "x"),
    ("found", "passes", True),
]


def write(folder: Path, name: str, document: object) -> None:
    path = folder / ("results.json" if name in ("benchmark", "found") else name)
    path.write_text(json.dumps(document), encoding="utf-8")


@pytest.mark.parametrize(("reader", "field", "value"), BREAK)
def test_a_field_that_is_something_else_is_told(reader: str, field: str, value: object, tmp_path: Path) -> None:
    name, read = READERS[reader]
    document = json.loads(json.dumps(DOCUMENTS[name]))
    write(tmp_path, name, document)
    read(tmp_path)  # sound as it is
    place: Any = document
    *path, last = field.split(".")
    for key in path:
        place = place[int(key) if isinstance(place, list) else key]
    place[last] = value
    write(tmp_path, name, document)
    with pytest.raises(RunError) as error:
        read(tmp_path)
    assert name in str(error.value) or "results.json" in str(error.value)
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 400 + len(str(tmp_path))


@pytest.mark.parametrize(
    ("column", "value"),
    [("channels", "-1"), ("height", "x"), ("vulnerability", "nan"), ("vulnerability", "inf"), ("metric", "other")],
)
def test_a_table_of_layers_with_a_cell_that_cannot_be(column: str, value: str, tmp_path: Path) -> None:
    rows = [LayerRow("m", f"cells.{index}", 4, 8, 8, "kl", 1e-4) for index in range(2)]
    text = layers_csv(rows, {}, DOCUMENTS["manifest.json"])
    path = tmp_path / "vulnerability.csv"
    path.write_text(text, encoding="utf-8")
    assert read_layers(path) == rows
    header, first, *rest = text.splitlines()
    cells = first.split(",")
    cells[header.split(",").index(column)] = value
    path.write_text("\n".join([header, ",".join(cells), *rest]), encoding="utf-8")
    with pytest.raises(RunError, match=r"vulnerability\.csv is"):
        read_layers(path)
    path.write_text(header + "\n", encoding="utf-8")
    with pytest.raises(RunError, match="at least one"):
        read_layers(path)


def test_the_eps_of_a_run_is_that_of_its_training(tmp_path: Path) -> None:
    write(tmp_path, "manifest.json", DOCUMENTS["manifest.json"])
    model: Any = None
    loaded = LoadedModel("m", "m", "run", model, tmp_path)
    assert eps_of(loaded, None) == (Distance("8/255"), "training")
