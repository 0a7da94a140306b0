"""Where found cells stand among all of a benchmark: in the terminal and on the page the same numbers."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from rnas.reports import benchmark_table, report
from rnas.run.benchmark_results import BenchmarkResults, FoundCell, Interval

#: A percentile that older versions did not write.
EQUAL_SIZE = "robust_percentile_at_equal_size"
NAMES = {"algorithm": "rnas", "cell": "|nor_conv_3x3~0|"}
FIGURES = [field for field in FoundCell.__dataclass_fields__ if field not in ("seed", *NAMES)]


def content(seeds: int, algorithm: str = "rnas") -> dict[str, Any]:
    """What a results.json of some seeds holds, whose figures are 10, 11, ..."""
    own = NAMES | {"algorithm": algorithm}
    searches = [{**own, "seed": seed, **dict.fromkeys(FIGURES, 10 + seed)} for seed in range(seeds)]
    mean = Interval(10.5, 10.5 - 306.9, 10.5 + 306.9) if seeds > 1 else Interval(10.0)
    return {"searches": searches, "means": dict.fromkeys(FIGURES, mean.to_json())}


def printed(document: dict[str, Any]) -> str:
    console = Console(width=100, file=io.StringIO())
    with console.capture() as capture:
        console.print(benchmark_table(BenchmarkResults.from_json(document, "results.json")))
    return capture.get()


def test_two_seeds_have_no_interval() -> None:
    two, three = printed(content(2)), printed(content(3))
    assert "306.9" not in two
    assert "+-" not in two
    for value in ("10.0", "11.0", "10.5"):
        assert value in two
    assert "+-" in three
    assert "306.9" in three
    assert "mean" not in printed(content(1))


def test_results_of_before_have_no_percentile_at_equal_size() -> None:
    older = content(3)
    for entry in (*older["searches"], older["means"]):
        del entry[EQUAL_SIZE]
    assert " - " in printed(older)
    assert " - " not in printed(content(3))


def test_a_name_does_not_reach_the_terminal_raw() -> None:
    shown = printed(content(1, "evil\x1b[31m[bold]"))
    assert "\x1b" not in shown
    assert "evil\\x1b[31m[bold] on NAS-RobBench-201" in shown


@pytest.mark.parametrize("above", [False, True])
def test_the_page_of_a_benchmark_has_its_table(tmp_path: Path, above: bool) -> None:
    folder = tmp_path / "runs" / "benchmark"
    folder.mkdir(parents=True)
    manifest = {"kind": "benchmark", "config": {}, "finished": "2026-01-02T03:04:05+00:00"}
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    (folder / "results.json").write_text(json.dumps(content(2)), encoding="utf-8")
    for seed in (0, 1):
        (folder / f"seed-{seed}").mkdir()
        (folder / f"seed-{seed}" / "manifest.json").write_text(json.dumps({**manifest, "kind": "search"}))
    text = report(folder.parent if above else folder).read_text(encoding="utf-8")
    table = text.partition('<section id="benchmark">')[2].partition("</section>")[0]
    assert '<tr><th scope="row">1</th><td>11</td><td>11.0000</td>' in table
    assert '<tr><th scope="row">mean</th><td>10</td><td>10.5000</td>' in table
    assert "306.9" not in table
    assert "<h3>seed-0</h3>" in text
