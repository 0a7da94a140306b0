"""The page: complete, self-contained, the same each time, and honest about what is missing."""

import csv
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from matplotlib.figure import Figure
from safetensors.numpy import save_file
from tests.conftest import ENCODE

from rnas.errors import RunError
from rnas.reports import report, save
from rnas.reports.figures import style
from rnas.reports.figures.adversarial import adversarial_figure

FIGURES = {
    "accuracy",
    "cells",
    "alpha_normal",
    "alpha_reduce",
    "vulnerability",
    "losses_search",
    "losses_searched",
    "losses_resnet18",
}
VOID = {"meta", "img", "br", "link", "hr"}


class Page(HTMLParser):
    """Checks that elements nest, and collects sources, headings and text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.sources: list[str] = []
        self.tags: list[str] = []
        self.text = ""
        self.source = text
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag not in VOID:
            self.open.append(tag)
        for name, value in attrs:
            if name in ("src", "href", "srcset"):
                self.sources.append(value or "")
            assert name != "alt" or value

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def read(path: Path) -> Page:
    return Page(path.read_text(encoding="utf-8"))


@pytest.fixture
def change(run_folder: Path) -> Callable[[str, dict[str, object]], None]:
    """Change values of a JSON file of the run."""

    def apply(name: str, values: dict[str, object]) -> None:
        path = run_folder / name
        path.write_text(json.dumps({**json.loads(path.read_text(encoding="utf-8")), **values}), encoding="utf-8")

    return apply


def test_report_of_a_run_is_complete_and_self_contained(reported_folder: Path) -> None:
    run_folder, path = reported_folder, reported_folder / "report.html"
    text = path.read_text(encoding="utf-8")
    assert not re.search(r"https?://|@import|url\(", text)
    page = read(path)
    assert page.sources
    assert all(source.startswith("data:image/svg+xml;base64,") for source in page.sources)
    assert len(page.sources) == len(FIGURES)
    assert {file.name for file in (run_folder / "figures").iterdir()} == {
        f"{name}.{suffix}" for name in FIGURES for suffix in ("svg", "png")
    }
    assert "script" not in page.tags
    for words in (
        "rnas run quickstart",
        "0123456789abcdef",
        "Example CPU",
        "4 min 30 s",
        "eps 8/255, step size 2/255, steps 20",
        "78.1%",
        "64 of 256 images",
        "kl_per_position",
        "bound: 50%",
        "2.13.0",
    ):
        assert words in page.text
    assert "Left out" not in page.text
    assert "Unfinished" not in page.text
    for file in (run_folder / "figures").glob("*.svg"):
        svg = file.read_text(encoding="utf-8")
        assert "<dc:date>" not in svg


def test_same_content_gives_same_bytes(
    reported_folder: Path, run_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of its PNG files, which hold no names, the first is drawn again."""
    asked = []

    def encode(figure: Figure, kind: str) -> bytes:
        asked.append(kind)
        return ENCODE(figure, kind) if kind == "svg" or asked.count("png") == 1 else b""

    monkeypatch.setattr(style, "_encode", encode)
    report(run_folder)
    first = {file.name: file.read_bytes() for file in (reported_folder / "figures").iterdir()}
    second = {file.name: file.read_bytes() for file in (run_folder / "figures").iterdir()}
    assert first.keys() == second.keys()
    again = {name: content for name, content in second.items() if content}
    assert {Path(name).suffix for name in again} == {".svg", ".png"}
    assert {name: first[name] for name in again} == again
    assert (reported_folder / "report.html").read_bytes() == (run_folder / "report.html").read_bytes()


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize(
    ("kept", "sections", "reasons"),
    [
        ("search", {"cells", "alpha_normal", "vulnerability", "losses_search"}, ["no model in this folder has been"]),
        ("searched", {"cells", "accuracy", "losses_searched"}, ["there is no search in this folder"]),
        ("resnet18", {"accuracy", "losses_resnet18"}, ["no genotype.json", "there is no search"]),
    ],
)
def test_one_directory_alone(run_folder: Path, kept: str, sections: set[str], reasons: list[str]) -> None:
    page = read(report(run_folder / kept))
    files = {file.stem for file in (run_folder / kept / "figures").iterdir()}
    assert sections <= files
    for reason in reasons:
        assert reason in page.text


@pytest.mark.usefixtures("undrawn")
def test_models_without_a_run_around_them(run_folder: Path) -> None:
    (run_folder / "manifest.json").unlink()
    (run_folder / "config.yaml").unlink()
    shutil.rmtree(run_folder / "search")
    page = read(report(run_folder))
    assert "the manifest of searched" in page.text
    assert "Configuration of resnet18" in page.text


@pytest.mark.usefixtures("undrawn")
def test_unfinished_run_says_so(run_folder: Path, change: Callable[[str, dict[str, object]], None]) -> None:
    change("manifest.json", {"finished": None})
    change("search/manifest.json", {"finished": None})
    for name in ("searched", "resnet18"):
        shutil.rmtree(run_folder / name)
    for name in ("search/results.json", "search/genotype.json"):
        (run_folder / name).unlink()
    metrics = run_folder / "search" / "metrics.jsonl"
    lines = metrics.read_bytes().split(b"\n")
    metrics.write_bytes(b"\n".join(lines[:100]) + b"\n" + lines[100][:20])
    page = read(report(run_folder))
    assert "Unfinished" in page.text
    assert "not yet" in page.text
    step = json.loads(lines[99])["step"]
    assert f"last record at step {step}" in page.text


@pytest.mark.usefixtures("undrawn")
def test_a_trained_network_is_not_unfinished_for_want_of_an_evaluation(run_folder: Path) -> None:
    (run_folder / "resnet18" / "results.json").unlink()
    page = read(report(run_folder))
    assert "Not evaluated yet: resnet18." in page.text
    assert "Unfinished" not in page.text
    page = read(report(run_folder / "searched"))
    assert "Not evaluated" not in page.text


def test_a_run_that_has_only_begun(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text('{"kind": "run", "finished": null}', encoding="utf-8")
    page = read(report(tmp_path))
    assert "No stage of the run has begun" in page.text


def test_a_genotype_alone(run_folder: Path, tmp_path: Path) -> None:
    folder = tmp_path / "cells"
    folder.mkdir()
    shutil.copy(run_folder / "search" / "genotype.json", folder)
    report(folder)
    assert {file.name for file in (folder / "figures").iterdir()} == {"cells.svg", "cells.png"}


def test_malicious_names_are_escaped(run_folder: Path, change: Callable[[str, dict[str, object]], None]) -> None:
    evil = "\"><script>alert('x')</script><img src=x>$$"
    config = {"evil": f"{evil}\n</pre><script>"}
    change("manifest.json", {"command": evil, "versions": {evil: evil}, "hardware": {"cpu": evil}, "config": config})
    change("resnet18/results.json", {"model": {"name": evil}})
    change("search/results.json", {evil: evil, "metric": evil})
    (run_folder / "config.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    (run_folder / "searched").rename(run_folder / "<b>..%2e")
    # Alpha, whose many panels take seconds, is drawn with no name of the user's.
    metrics = run_folder / "search" / "metrics.jsonl"
    lines = metrics.read_text(encoding="utf-8").splitlines(keepends=True)
    metrics.write_text("".join(line for line in lines if '"kind": "alpha"' not in line), encoding="utf-8")
    page = read(report(run_folder))
    assert "script" not in page.tags
    assert "b" not in page.tags
    assert all(source.startswith("data:") for source in page.sources)
    assert evil in page.text
    for file in (run_folder / "figures").iterdir():
        assert re.fullmatch(r"[A-Za-z0-9_-]+\.(svg|png)", file.name)


@pytest.mark.usefixtures("undrawn")
def test_models_of_one_name_are_told_apart(run_folder: Path, change: Callable[[str, dict[str, object]], None]) -> None:
    change("resnet18/results.json", {"model": {"name": "searched"}})
    shutil.rmtree(run_folder / "search")
    for name in ("searched", "resnet18"):
        (run_folder / name / "metrics.jsonl").unlink()
    page = read(report(run_folder))
    assert "searched (resnet18)" in page.text
    assert "searched (searched)" in page.text


@pytest.mark.usefixtures("undrawn")
def test_several_runs_in_one_folder(run_folder: Path, tmp_path: Path) -> None:
    """Each has its own search; the page of the folder around them shows all of both, each under its name."""
    shutil.copytree(run_folder, tmp_path / "all" / "first")
    shutil.copytree(run_folder, tmp_path / "all" / "second")
    page = read(report(tmp_path / "all"))
    for run in ("first", "second"):
        for name in ("searched", "resnet18"):
            assert f"{name} ({run}/{name})" in page.text
        assert page.source.count(f"<h3>search ({run}/search)</h3>") == 2  # its alpha, and its F


@pytest.mark.usefixtures("undrawn")
def test_doubts_stand_on_the_page(run_folder: Path, change: Callable[[str, dict[str, object]], None]) -> None:
    check = {"name": "gradients", "passed": False, "finding": "zero for <b>32</b> images"}
    change("searched/results.json", {"sanity": [check, {**check, "name": "steps", "passed": True}]})
    page = read(report(run_folder))
    assert "searched: 1 of 2 checks failed" in page.text
    assert "zero for <b>32</b> images" in page.text
    with (run_folder / "results.csv").open(encoding="utf-8", newline="") as file:
        assert {row["model"]: row["failed_checks"] for row in csv.DictReader(file)} == {
            "searched": "gradients",
            "resnet18": "",
        }


@pytest.mark.usefixtures("undrawn")
def test_norms_and_sources_stand_beside_the_settings(run_folder: Path) -> None:
    for name, norm in (("searched", 0.291), ("resnet18", None)):
        path = run_folder / name / "results.json"
        document = json.loads(path.read_text(encoding="utf-8"))
        for attack in document["attacks"]:
            if attack["name"] == "cw":
                attack.update({"median_l2": norm, "source": "Carlini and Wagner"})
        path.write_text(json.dumps(document), encoding="utf-8")
    page = read(report(run_folder))
    assert "Carlini and Wagner" in page.text
    assert "0.291" in page.text
    with (run_folder / "results.csv").open(encoding="utf-8", newline="") as file:
        norms = {(row["model"], row["attack"]): row["median_l2"] for row in csv.DictReader(file)}
    assert norms["searched", "cw"] == "0.291"
    assert norms["resnet18", "cw"] == norms["searched", "fgsm"] == ""


def test_saved_images_are_shown(run_folder: Path, change: Callable[[str, dict[str, object]], None]) -> None:
    shutil.rmtree(run_folder / "search")  # whose figures take seconds each time, as do those of trainings and cells
    (run_folder / "searched" / "genotype.json").unlink()
    for name in ("searched", "resnet18"):
        (run_folder / name / "metrics.jsonl").unlink()
    (run_folder / "searched" / "adversarial").mkdir()
    colour = np.random.default_rng(0).random((12, 3, 8, 8), dtype=np.float32)
    label = np.arange(12)
    tensors: dict[str, np.ndarray[Any, Any]] = {
        "label": label,
        "clean_prediction": label,
        "prediction": label % 5,
        "clean": colour,
    }
    path = run_folder / "searched" / "adversarial" / "pgd20.safetensors"
    save_file({**tensors, "adversarial": np.clip(colour + np.float32(0.1), 0, 1)}, path)
    page = read(report(run_folder))
    assert "searched under PGD-20. 10 of the 12 saved images" in page.text
    assert "the change, 5 times amplified: grey is none, the largest is 0.1." in page.text
    drawn = run_folder / "figures" / "adversarial_searched_pgd20.svg"
    without_names = drawn.read_bytes()
    names = ["frog", "ship"]
    change("searched/results.json", {"data": {"class_names": names}})
    report(run_folder)
    save(adversarial_figure(path, names)[0], run_folder, "expected")
    assert drawn.read_bytes() == (run_folder / "expected.svg").read_bytes() != without_names
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(RunError, match=r"pgd20\.safetensors is damaged"):
        report(run_folder)


@pytest.mark.usefixtures("undrawn")
def test_an_evaluation_alone_has_no_sections_of_searches_and_trainings(evaluated_folder: Path) -> None:
    page = read(report(evaluated_folder))
    assert "Evaluation of model.pt, resnet18 and 3 more" in page.text
    for words in ("Left out", "Cells", "Alpha over time", "Vulnerability", "Losses", "training and", "Run cmp"):
        assert words not in page.text
    shutil.rmtree(evaluated_folder / "4")
    shutil.rmtree(evaluated_folder / "3")
    assert "Evaluation of model.pt, resnet18 and third" in read(report(evaluated_folder)).text
    assert "Evaluation of model.pt" in read(report(evaluated_folder / "0")).text
    # Beside a training the sections say why they are empty.
    path = evaluated_folder / "2" / "manifest.json"
    path.write_text(path.read_text(encoding="utf-8").replace('"evaluate"', '"train"'), encoding="utf-8")
    page = read(report(evaluated_folder))
    assert "Run cmp" in page.text
    assert "there is no search in this folder" in page.text
    stages = dict(re.findall(r"<tr><td>([^<]*)</td><td>([^<]*)</td>", page.source.partition('id="provenance"')[2]))
    assert stages == {"model.pt": "evaluation", "resnet18": "evaluation", "third": "training and evaluation"}


@pytest.mark.usefixtures("undrawn")
def test_the_page_names_the_commands_that_made_its_rows(evaluated_folder: Path) -> None:
    page = read(report(evaluated_folder))
    facts = re.findall(r"<dt>(.*?)</dt><dd>(?:<code>)?(.*?)(?:</code>)?</dd>", page.source.partition("<main>")[0])
    values = {name: [value for other, value in facts if other == name] for name, _ in facts}
    first = [f"rnas evaluate --first {number}" for number in range(4)]
    assert values["Command"] == [first[0], "rnas evaluate", *first[1:]]
    assert values["More commands"] == ["and 1 more, in results.csv"]
    # All were made on one machine, of one commit.
    assert [len(values[name]) for name in ("Hardware", "Commit", "Seed", "Finished")] == [1, 1, 1, 1]
    assert "; " not in values["Hardware"][0] + values["Commit"][0]
    assert "From" not in values
    assert "rnas evaluate --again" not in page.text


@pytest.mark.usefixtures("undrawn")
def test_what_attacks_saw_is_said_in_words(evaluated_folder: Path, run_folder: Path) -> None:
    page = read(report(evaluated_folder))
    assert "on a folded copy of the model" in page.text
    assert "Attacks see a copy with batch norm folded into convolutions" in page.text
    assert "prepared" not in page.text
    assert "folded" not in read(report(run_folder)).text


def test_needs_neither_torch_nor_pyplot() -> None:
    code = "import sys, rnas.reports; print([m for m in ('torch', 'matplotlib.pyplot') if m in sys.modules])"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"


@pytest.mark.usefixtures("undrawn")
def test_the_csv_holds_every_result_with_its_provenance(run_folder: Path) -> None:
    report(run_folder)
    with (run_folder / "results.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    manifest = json.loads((run_folder / "manifest.json").read_text(encoding="utf-8"))
    expected = {}
    for path in run_folder.glob("*/results.json"):
        document = json.loads(path.read_text(encoding="utf-8"))
        for attack in document.get("attacks", ()):
            expected[document["model"]["name"], attack["name"]] = attack
    assert expected
    assert {(row["model"], row["attack"]) for row in rows} == set(expected)
    for row in rows:
        assert float(row["accuracy"]) == expected[row["model"], row["attack"]]["accuracy"]
        assert row["command"] == manifest["command"]
        assert row["seed"] == str(manifest["seed"])
        assert row["commit"] == (manifest["git_commit"] or "")
