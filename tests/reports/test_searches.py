"""What the page says of searches: which candidate won and by what, whether the bound was met, each under its name."""

from __future__ import annotations

import html
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from rnas.genotype import Cell, Edge, Genotype
from rnas.reports import report
from rnas.reports.facts import bound
from rnas.reports.figures.alpha import alpha_figure, trajectories
from rnas.reports.races import read_race
from rnas.run.contents import read_folder
from rnas.run.metrics import read_metrics

#: F, adversarial loss: the first has the lowest loss and the highest F.
MEASURED = ((0.18, 1.40), (0.11, 1.48), (0.10, 1.42))


def genotype(op: str) -> Genotype:
    return Genotype({"cell": Cell(((Edge(op, 0),), (Edge("skip_connect", 0), Edge(op, 1))), (2,), 1)})


GENOTYPES = [genotype(op) for op in ("nor_conv_3x3", "nor_conv_1x1", "avg_pool_3x3")]


def write_search(folder: Path, found: int, **summary: Any) -> Path:
    """A search in a small space, with the shortlist of which a candidate was found."""
    folder.mkdir(parents=True)
    config = {"search": {"shortlist": {"keep": 0.5, "epochs": 5, "metric": "gaussian_kl"}}}
    manifest = {"kind": "search", "config": config, "finished": "2026-01-02T03:04:05+00:00"}
    candidates = [{"F": f, "adversarial_loss": loss, "robust_accuracy": 0.25} for f, loss in MEASURED]
    documents = {"manifest": manifest, "results": {"algorithm": "rnas", "candidates": candidates, **summary}}
    for name, document in documents.items():
        (folder / f"{name}.json").write_text(json.dumps(document), encoding="utf-8")
    (folder / "genotype.json").write_text(GENOTYPES[found].to_json(), encoding="utf-8")
    for number, cells in enumerate(GENOTYPES):
        (folder / "candidates" / str(number)).mkdir(parents=True)
        (folder / "candidates" / str(number) / "genotype.json").write_text(cells.to_json(), encoding="utf-8")
    record = {"kind": "alpha", "step": 0, "probabilities": {"cell": [[0.5, 0.5]] * 3}}
    (folder / "metrics.jsonl").write_text(json.dumps(record) + "\n", encoding="utf-8")
    return folder


def words_of(page: Path) -> str:
    """What the page says, in one line."""
    text = page.read_text(encoding="utf-8").partition("<main>")[2]
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", text)).split())


@pytest.mark.usefixtures("undrawn")
def test_the_page_says_which_candidate_won_and_by_what(tmp_path: Path) -> None:
    folder = write_search(tmp_path / "search", 2)
    words = words_of(report(folder))
    for said in (
        "Each of the 3 candidates was trained by itself for 5 epochs",
        "of the 2 with the lowest F (gaussian_kl) the one with the lowest adversarial loss",
        "Candidate 2 won with an adversarial loss of 1.420 against 1.480 of candidate 1, the next one kept",
        "not those that alpha ends with",
        "the race chose candidate 2, whose operations the panels name",
        "0 (alpha's) 0.18 no 1.400 - 25.0%",
        "2 won 0.1 yes 1.420",
        "Candidate 0: cell: node 0 is nor_conv_3x3 of c_(k-1)",
    ):
        assert said in words
    # The panels tint what alpha says and name what was found instead.
    metrics = read_metrics(folder / "metrics.jsonl")
    (trajectory,) = trajectories(metrics)
    figure = alpha_figure(trajectory, GENOTYPES[0]["cell"], GENOTYPES[2]["cell"])
    texts = [[text.get_text() for text in axes.texts] for axes in figure.axes]
    assert texts == [
        ["nor_conv_3x3", "found: avg_pool_3x3"],
        ["skip_connect", "found: skip_connect"],
        ["nor_conv_3x3", "found: avg_pool_3x3"],
    ]


def test_the_page_shows_who_fell_in_which_rung(tmp_path: Path) -> None:
    folder = write_search(tmp_path / "search", 1)
    document = json.loads((folder / "results.json").read_text())
    document["candidates"][1]["later"] = [{"F": 0.07, "adversarial_loss": 1.234, "robust_accuracy": 0.5}]
    document["candidates"][2] |= {"parent": 1, "later": [{"F": 0.09, "adversarial_loss": 1.3}]}
    (folder / "results.json").write_text(json.dumps(document))
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["config"]["search"]["shortlist"] |= {"rule": "F", "eta": 2}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    words = words_of(report(folder))
    for said in (
        "1 of the candidates is a mutant of better ones. Each of the 3 candidates was trained by itself for 5 epochs;",
        "2 went on for 10 epochs. In each rung, the one with the lowest F (gaussian_kl) is the best.",
        "Candidate 1 won, in the last rung with F = 0.07 and an adversarial loss of 1.234",
        "0 (alpha's) 1 0.18 1.400",
        "1 won 2 0.07 1.234 - 50.0%",
        "2 (mutant of 1) 2 0.09 1.300",
    ):
        assert said in words
    assert (folder / "figures" / "race.svg").exists()


def test_alphas_own_candidate_contradicts_nothing(tmp_path: Path) -> None:
    (search,) = read_folder(write_search(tmp_path / "search", 0)).searches
    race = read_race(search)
    assert race is not None
    assert race.overruled is None
    assert race.verdict.endswith("It is the network that alpha ends with.")


def test_candidates_that_are_gone_are_said_to_be(tmp_path: Path) -> None:
    folder = write_search(tmp_path / "search", 1)
    for number in range(3):
        (folder / "candidates" / str(number) / "genotype.json").unlink()
    (search,) = read_folder(folder).searches
    race = read_race(search)
    assert race is not None
    assert race.winner is None
    assert "cannot be told" in race.verdict
    (folder / "results.json").write_text('{"candidates": []}', encoding="utf-8")
    (search,) = read_folder(folder).searches
    assert read_race(search) is None


@pytest.mark.parametrize(
    ("reached", "said"),
    [(1.56, "bound NOT met: F / H = 1.56"), (1.0009, "bound met: F / H = 1.001"), (0.5, "bound met: F / H = 0.5")],
)
def test_a_bound_that_is_not_met_is_called_so(tmp_path: Path, reached: float, said: str) -> None:
    (search,) = read_folder(write_search(tmp_path / "search", 0, H=2.0, F=2.0 * reached)).searches
    assert bound(search) == (said, "NOT" not in said)
    # What the search itself says counts.
    assert bound(replace(search, summary={**search.summary, "bound_met": "NOT" in said})) != bound(search)
    assert bound(replace(search, summary={"F": 1.0, "H": None})) is None


@pytest.mark.usefixtures("undrawn")
def test_the_page_marks_a_bound_that_is_not_met(tmp_path: Path) -> None:
    folder = write_search(tmp_path / "search", 0, H=2.0, F=3.12, candidates=[])
    (folder / "metrics.jsonl").unlink()
    assert '<p class="state">Bound NOT met: F / H = 1.56</p>' in report(folder).read_text(encoding="utf-8")


@pytest.mark.usefixtures("undrawn")
def test_several_searches_are_shown_each_under_its_name(tmp_path: Path) -> None:
    for name, found in (("api", 0), ("search", 2)):
        write_search(tmp_path / name, found, H=2.0, F=1.0)
    page = report(tmp_path)
    text = page.read_text(encoding="utf-8")
    for section in ("shortlist", "alpha", "vulnerability"):
        part = text.partition(f'<section id="{section}">')[2].partition("</section>")[0]
        assert re.findall("<h3>(.*?)</h3>", part) == ["api", "search"]
    assert {"alpha_cell_api.svg", "alpha_cell_search.svg"} <= {file.name for file in (tmp_path / "figures").iterdir()}
