"""results.json: what is written is what was written before, and what is read is what was written."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from rnas.errors import RunError
from rnas.evaluation import ATTACKS, EvaluationConfig
from rnas.run.attack_results import AttackResult, Check, TableEntry
from rnas.run.integrity import KEY, seal_document
from rnas.run.results import ModelResults, RecipeResults, read_results
from rnas.run.search_results import SearchResults

#: Of two calls, with a collection of corruptions, a worst case and checks that failed; written when nobody owned it.
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
    for row in again["attacks"]:
        del row["entry"]  # of a later version
    assert json.dumps(again) == json.dumps(before)  # in the same order, too


def test_a_search_writes_the_same_document_as_before() -> None:
    before = written(Path(__file__).parent / "search_results_of_before.json")
    assert len(before["candidates"]) > 1
    assert json.dumps(SearchResults.from_json(before, "results.json").to_json()) == json.dumps(before)


def test_what_tables_know_of_an_attack_is_told_of_older_files_too() -> None:
    results = ModelResults.from_json(written(BEFORE), "results.json", name="unused")
    assert results == ModelResults.from_json(results.to_json(), "results.json", name="unused")
    entries = {attack.name: attack.entry for attack in results.attacks if attack.entry is not None}
    assert entries["autoattack"] == TableEntry("AutoAttack", 40, bounded=True)
    assert entries["worst_case"] == TableEntry("Worst case, Linf", 60, bounded=True, combined=True)
    assert not entries["cw"].bounded
    mildest_first = sorted(entries, key=lambda name: entries[name].place)
    assert mildest_first[:3] == ["clean", "fgsm", "pgd20"]
    assert mildest_first[-1] == "worst_case"


@pytest.mark.parametrize("name", [*ATTACKS, "pgd7", "pgd100x10_margin"])
def test_the_names_of_older_files_say_what_the_cards_say(name: str) -> None:
    card, config = ATTACKS[name], EvaluationConfig()
    for title in (card.title, f"{card.title} (64 of 256 images)"):
        told = TableEntry.of_before(name, title, card.settings(config))
        assert told == TableEntry(card.title, card.place, bounded=card.norm is not None)


@pytest.mark.parametrize(("key", "value"), [("place", "first"), ("bounded", 1), ("heading", None)])
def test_a_damaged_entry_is_named(key: str, value: object) -> None:
    document = ModelResults.from_json(written(BEFORE), "results.json", name="unused").to_json()
    document["attacks"][1]["entry"][key] = value
    with pytest.raises(RunError, match=rf"results.json, attack 2 \('fgsm'\) is damaged: '{key}'"):
        ModelResults.from_json(document, "results.json", name="unused")


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
    read = read_results(tmp_path / "results.json")
    assert read.to_json() == results.to_json()
    assert replace(read, attacks=()) == replace(results, attacks=())
    results = read
    recipe = RecipeResults((results, replace(results, name="n")), "vulnerability/vulnerability.csv")
    document = json.loads(json.dumps(recipe.to_json()))
    assert RecipeResults.from_json(document, "results.json") == recipe
    del document["vulnerability"]
    assert RecipeResults.from_json(document, "results.json").vulnerability == ""
