"""results.json: what is written is what was written before, and what is read is what was written."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from rnas.run.attack_results import AttackResult, Check
from rnas.run.benchmark_results import BenchmarkResults
from rnas.run.integrity import KEY, seal_document
from rnas.run.results import ModelResults, RecipeResults, read_results
from rnas.run.search_results import SearchResults

#: Of two calls, with a collection of corruptions, a worst case and checks that failed; written when nobody owned it.
#: Its seal is left out, and its paths are no machine's.
BEFORE = Path(__file__).parent / "results_of_before.json"


def written(path: Path) -> dict[str, Any]:
    """The content of a file, without its seal."""
    document = json.loads(path.read_text(encoding="utf-8"))
    return {key: value for key, value in document.items() if key != KEY}


def test_the_same_document_is_written_as_before() -> None:
    before = written(BEFORE)
    assert len(before["calls"]) == 2
    assert any(row["parts"] for row in before["attacks"])
    again = ModelResults.from_json(before, "results.json", name="unused").to_json()
    added = [(row.pop("order"), row.pop("bounded")) for row in again["attacks"]]  # the file is older than these
    assert len(added) == len(before["attacks"])
    assert json.dumps(again) == json.dumps(before)  # in the same order, too


def test_a_search_writes_the_same_document_as_before() -> None:
    before = written(Path(__file__).parent / "search_results_of_before.json")
    assert len(before["candidates"]) > 1
    assert json.dumps(SearchResults.from_json(before, "results.json").to_json()) == json.dumps(before)


def test_a_benchmark_writes_the_same_document_as_before() -> None:
    before = written(Path(__file__).parent / "benchmark_results_of_before.json")
    assert len(before["searches"]) > 1
    assert json.dumps(BenchmarkResults.from_json(before, "results.json").to_json()) == json.dumps(before)
    for part in (*before["searches"], before["means"]):  # still older
        del part["robust_percentile_at_equal_size"], part["clean_percentile_at_equal_size"]
    older = BenchmarkResults.from_json(before, "results.json")
    assert {search.robust_percentile_at_equal_size for search in older.searches} == {None}
    assert json.dumps(older.to_json()) == json.dumps(before)


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    call = {"command": "rnas evaluate m", "seed": 3, "hardware": {}, "versions": {}}
    clean = AttackResult("clean", "Clean", 30, 0.9, 0.8, 0.95, seconds=1.5, call=call)
    foggy = AttackResult("corruptions", "Common corruptions", 60, 0.45, 0.3, 0.6, {"severities": "1"}, 2.0, call)
    foggy = replace(foggy, parts={"fog/1": 0.4, "snow/1": 0.5}, median_l2=0.25, source="somebody")
    results = ModelResults(
        "m",
        (clean, foggy),
        parameters=12,
        data="digits",
        fingerprint="f",
        images=30,
        classes=2,
        class_names=("cat", "dog"),
        radius="8/255",
        radius_from="training",
        size=(8, 9),
        sanity=(Check("steps", False, "fewer"),),
        model="a",
        weights="b",
        source="runs/m",
        test_images=40,
    )
    assert results.eps == "8/255, as in training"
    assert (clean.robust, foggy.robust) == (27, 27)
    assert results.to_json()["calls"] == [call]  # once, though both name it
    (tmp_path / "results.json").write_bytes(seal_document(results.to_json()))
    assert read_results(tmp_path / "results.json") == results
    recipe = RecipeResults((results, replace(results, name="n")), "vulnerability/vulnerability.csv")
    document = json.loads(json.dumps(recipe.to_json()))
    assert RecipeResults.from_json(document, "results.json") == recipe
    del document["vulnerability"]
    assert RecipeResults.from_json(document, "results.json").vulnerability == ""
