"""A made-up run with every file that a real one writes."""

import json
import math
import random
from pathlib import Path
from typing import Any

import matplotlib
import pytest
import yaml
from tests.conftest import ENCODE, outline

from rnas.genotype import Cell, Edge, Genotype
from rnas.reports import report
from rnas.reports.figures import style
from rnas.spaces import darts

OPERATIONS = list(darts.OPERATIONS)


def wilson(successes: int, count: int) -> tuple[float, float]:
    """The 95% score interval of a proportion (Wilson 1927)."""
    z = 1.959963984540054
    share = successes / count
    centre = (share + z * z / (2 * count)) / (1 + z * z / count)
    half = z / (1 + z * z / count) * math.sqrt(share * (1 - share) / count + z * z / (4 * count * count))
    return centre - half, centre + half


def attack(name: str, title: str, robust: int, attacked: int, **settings: Any) -> dict[str, Any]:
    low, high = wilson(robust, attacked)
    numbers = {"images": attacked, "robust": robust, "accuracy": robust / attacked, "low": low, "high": high}
    return {"name": name, "title": title, **numbers, "settings": settings, "seconds": 1.25}


def results(name: str, parameters: int, robust: tuple[int, int, int, int, int]) -> dict[str, Any]:
    eps = 8 / 255
    return {
        "model": {"name": name, "parameters": parameters, "weights": "0" * 64},
        "data": {"name": "digits", "fingerprint": "f" * 16, "images": 256, "classes": 10},
        "eps": {"value": "8/255", "from": "training"},
        "sanity": [{"name": "gradients", "passed": True, "finding": "the gradient is zero for 0 of 32 images"}],
        "attacks": [
            attack("clean", "Clean", robust[0], 256, images=256),
            attack("fgsm", "FGSM", robust[1], 256, eps=eps),
            attack("pgd20", "PGD-20", robust[2], 256, eps=eps, step_size=2 / 255, steps=20),
            attack("cw", "C&W-100 (L2)", robust[3], 256, c=0.5, steps=100, learning_rate=0.01),
            attack(
                "autoattack", "AutoAttack (64 of 256 images)", robust[4], 64, eps=eps, norm="Linf", version="standard"
            ),
            attack("worst_case", "Worst case of FGSM, PGD-20, C&W", min(robust[:4]) - 2, 256, attacks=["fgsm", "cw"]),
        ],
    }


def manifest(kind: str, *, finished: bool = True) -> dict[str, Any]:
    return {
        "kind": kind,
        "config": {"data": {"source": "digits"}, "seed": 0},
        "versions": {"python": "3.11.7", "rnas": "0.1.0", "torch": "2.13.0"},
        "git_commit": "0123456789abcdef0123456789abcdef01234567",
        "git_dirty": False,
        "seed": 0,
        "hardware": {"device": "cpu", "cpu": "Example CPU @ 2.00GHz", "cores": 2, "gpu": None},
        "command": f"rnas {kind} quickstart",
        "created": "2026-01-02T03:04:05+00:00",
        "finished": "2026-01-02T03:08:35+00:00" if finished else None,
    }


def genotype() -> Genotype:
    def cell(*pairs: tuple[str, int]) -> Cell:
        edges = [Edge(op, source) for op, source in pairs]
        return Cell(tuple((edges[i], edges[i + 1]) for i in range(0, len(edges), 2)), (2, 3, 4, 5))

    return Genotype(
        {
            "normal": cell(
                ("sep_conv_3x3", 0), ("skip_connect", 1), ("dil_conv_5x5", 0), ("sep_conv_5x5", 2),
                ("avg_pool_3x3", 1), ("sep_conv_3x3", 3), ("skip_connect", 0), ("dil_conv_3x3", 4),
            ),
            "reduce": cell(
                ("max_pool_3x3", 0), ("max_pool_3x3", 1), ("skip_connect", 2), ("max_pool_3x3", 0),
                ("sep_conv_5x5", 2), ("skip_connect", 3), ("dil_conv_3x3", 1), ("avg_pool_3x3", 2),
            ),
        }
    )  # fmt: skip


def search_records() -> list[dict[str, Any]]:
    """Six epochs of twenty steps, two of them warm-up; the bound is half of F at the warm-up's end."""
    chance = random.Random(1)
    logits = {kind: [[0.0] * 8 for _ in range(14)] for kind in ("normal", "reduce")}
    records: list[dict[str, Any]] = []
    vulnerability, bound = 3.2e-5, None
    for step in range(120):
        epoch = step // 20
        at = {"step": step, "epoch": epoch}
        warm = epoch < 2
        loss = 2.3 * math.exp(-step / 50) + 0.1 * chance.random()
        accuracy = min(1.0, 1 - loss / 2.6 + 0.1 * chance.random())
        if warm or step % 20 < 16:
            phase = "warmup" if warm else "search"
            records.append({"kind": "theta", **at, "phase": phase, "loss": loss, "accuracy": accuracy})
        if not warm and step % 20 < 16:
            both = {"clean_loss": 0.6 * loss, "adversarial_loss": 1.1 * loss}
            records.append({"kind": "alpha_step", **at, "loss": 1.7 * loss, **both, "accuracy": 0.93 * accuracy})
            for rows in logits.values():
                for edge, row in enumerate(rows):
                    for index in range(8):
                        row[index] += 0.08 * chance.gauss(0.2 * math.sin(edge * 3 + index * 5), 0.5)
            vulnerability *= 1 + 0.03 * chance.random()
        if warm and step == 39:
            bound = vulnerability / 2
        if not warm and step % 20 == 16:
            before, vulnerability = vulnerability, min(vulnerability, bound or 1.0)
            move = {"before": before, "after": vulnerability, "bound": bound, "ratio": 1.0, "multiplier": 0.3}
            none = {"none_before": 0.125 + epoch / 100, "none_after": 0.135 + epoch / 100}
            rest = {"kkt_residual": 1e-6, "distance": 0.2, "iterations": 4, "feasible": True}
            records.append({"kind": "projection", **at, **move, **rest, **none})
        if step % 5 == 4:
            ratio = None if bound is None else vulnerability / bound
            records.append({"kind": "vulnerability", **at, "F": vulnerability, "H": bound, "ratio": ratio})
            softmax = {
                kind: [[math.exp(v) / sum(map(math.exp, row)) for v in row] for row in rows]
                for kind, rows in logits.items()
            }
            records.append({"kind": "alpha", **at, "probabilities": softmax})
    return records


def training_records(seed: int, steps: int = 400) -> list[dict[str, Any]]:
    chance = random.Random(seed)
    records: list[dict[str, Any]] = []
    for step in range(steps):
        at = {"step": step, "epoch": step // 40}
        loss = 2.0 * math.exp(-step / 120) + 0.3 * chance.random()
        rate = 0.05 * (1 + math.cos(math.pi * step / steps))
        records.append({"kind": "step", **at, "loss": loss, "accuracy": 1 - loss / 2.5, "learning_rate": rate})
        if step % 40 == 39:
            clean = 1 - 0.8 * math.exp(-step / 100)
            records.append({"kind": "epoch", **at, "validation_clean": clean, "validation_robust": clean - 0.15})
    return records


def write_json(path: Path, document: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


def write_lines(path: Path, records: list[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")


def write_search(folder: Path) -> None:
    write_json(folder / "manifest.json", manifest("search"))
    write_lines(folder / "metrics.jsonl", search_records())
    (folder / "genotype.json").write_text(genotype().to_json(), encoding="utf-8")
    document = {"H": 1.6e-5, "F": 1.5e-5, "metric": "kl_per_position", "solver": "linearised", "passes": 4321}
    write_json(folder / "results.json", {**document, "none": 0.127, "algorithm": "rnas", "operations": OPERATIONS})


def write_model(folder: Path, name: str, parameters: int, robust: tuple[int, int, int, int, int]) -> None:
    write_json(folder / "manifest.json", manifest("train"))
    write_lines(folder / "metrics.jsonl", training_records(parameters))
    write_json(folder / "results.json", results(name, parameters, robust))


def write_run(folder: Path) -> Path:
    """Write a finished run: a search, its network and a baseline."""
    config = {"recipe": "quickstart", "data": {"source": "digits"}, "search": {"bound": "50%"}}
    write_json(folder / "manifest.json", {**manifest("run"), "config": config})
    (folder / "config.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    write_search(folder / "search")
    write_model(folder / "searched", "searched", 123_456, (243, 211, 200, 190, 48))
    (folder / "searched" / "genotype.json").write_text(genotype().to_json(), encoding="utf-8")
    write_model(folder / "resnet18", "resnet18", 11_173_962, (248, 205, 188, 192, 44))
    return folder


@pytest.fixture
def run_folder(tmp_path: Path) -> Path:
    """The folder of a finished run."""
    return write_run(tmp_path / "quickstart")


@pytest.fixture(scope="session")
def reported_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run with its page and figures, drawn once, which takes seconds: to be read only."""
    before = dict(matplotlib.rcParams)
    folder = write_run(tmp_path_factory.mktemp("reported") / "quickstart")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(style, "_encode", ENCODE)
        assert report(folder) == folder / "report.html"
    assert dict(matplotlib.rcParams) == before
    return folder


@pytest.fixture
def evaluated_folder(tmp_path: Path) -> Path:
    """The folder of an evaluation of five models, in which each model was attacked by two calls."""
    folder = tmp_path / "cmp"
    for number, name in enumerate(("model.pt", "resnet18", "third", "fourth", "fifth")):
        document = results(name, 1000, (240, 210, 200, 190, 48 - number))
        call = {key: value for key, value in manifest("evaluate").items() if key not in ("kind", "config", "created")}
        commands = [f"rnas evaluate --first {number}", "rnas evaluate"]
        document["calls"] = [{**call, "command": command} for command in commands]
        for position, row in enumerate(document["attacks"]):
            row["call"] = int(position > 1)
            row["settings"]["attacked"] = "prepared"
        # The manifest is of a later call that made nothing.
        later = {**manifest("evaluate"), "command": "rnas evaluate --again"}
        write_json(folder / f"{number}" / "manifest.json", later)
        write_json(folder / f"{number}" / "results.json", document)
    return folder


@pytest.fixture(autouse=True)
def drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Here figures are drawn."""
    monkeypatch.setattr(style, "_encode", ENCODE)


@pytest.fixture
def undrawn(drawn: None, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: ARG001
    """But for tests of what a page says."""
    monkeypatch.setattr(style, "_encode", outline)
