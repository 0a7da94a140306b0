"""A study's results.json: what is written is read, and whatever else it holds costs one line."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rnas.errors import RunError
from rnas.reports.study_page import study_page
from rnas.run.study_results import Measured, Objective, Standing, State, StudyResults, TrialResult, read_study

STUDY = StudyResults(
    recipe="smoke",
    sampler="tpe",
    space={"training.learning_rate": "0.01 to 0.2", "search.algorithm": "rnas, <b>largest</b>"},
    objectives=(Objective("clean", "Clean accuracy", maximise=True), Objective("F", "F", maximise=False)),
    trials=(
        TrialResult(
            0,
            {"training.learning_rate": 0.1, "search.algorithm": "rnas"},
            State.FINISHED,
            {"clean": Measured(0.9, 0.8, 0.95), "F": Measured.exact(0.01)},
            Standing.FRONT,
            "trials/0000",
        ),
        TrialResult(
            1,
            {"training.learning_rate": 0.15, "search.algorithm": "<b>largest</b>"},
            State.FINISHED,
            {"clean": Measured(0.85, 0.75, 0.9), "F": Measured.exact(0.02)},
            Standing.WITHIN,
            "trials/0001",
        ),
        TrialResult(2, {"training.learning_rate": 0.2, "search.algorithm": "rnas"}, State.FAILED, reason="a <script>"),
        TrialResult(3, {"training.learning_rate": 0.02, "search.algorithm": "rnas"}, State.RUNNING, run="trials/0003"),
    ),
    wanted=6,
    chosen=0,
    importance={"clean": {"training.learning_rate": 0.75, "search.algorithm": 0.25}},
    evaluator="fANOVA",
)


def test_what_is_written_is_read() -> None:
    assert StudyResults.from_json(json.loads(json.dumps(STUDY.to_json())), "here") == STUDY
    assert not STUDY.ended
    assert STUDY.choice is not None
    assert [trial.number for trial in STUDY.finished] == [0, 1]


def places(document: Any, way: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to every value of a document."""
    inside = (
        document.items() if isinstance(document, dict) else enumerate(document) if isinstance(document, list) else ()
    )
    for key, value in inside:
        yield (*way, key)
        yield from places(value, (*way, key))


ODD: list[Any] = [None, True, -1, 10**30, 0.5, "", "text", [], [[]], {}, {"a": {}}, [None]]


def test_any_other_value_anywhere_is_a_study_or_one_line() -> None:
    """And never anything else: what is read can be shown."""
    document = STUDY.to_json()
    refusals: list[str] = []
    for way in places(document):
        for odd in ODD:
            changed = copy.deepcopy(document)
            part = changed
            for key in way[:-1]:
                part = part[key]
            part[way[-1]] = odd
            try:
                StudyResults.from_json(changed, "here")
            except RunError as error:
                refusals.append(str(error))
    assert len(refusals) > 200
    assert all("here" in refusal and "\n" not in refusal for refusal in refusals)


def test_the_page_of_any_such_study_can_be_written_or_says_why_not(tmp_path: Path) -> None:
    refused: list[str] = []
    document = STUDY.to_json()
    changes: list[tuple[tuple[Any, ...], Any]] = [
        (("trials", 0, "settings", "training.learning_rate"), "0.1"),
        (("trials", 0, "settings", "training.learning_rate"), None),
        (("trials", 0, "settings", "training.learning_rate"), {"a": 1}),
        (("trials", 0, "settings"), {}),
        (("trials", 0, "standing"), None),
        (("chosen",), 2),
        (("chosen",), 77),
        (("chosen",), None),
        (("importance", "clean"), {}),
        (("importance",), {"F": {"unknown": 0.5}}),
        (("trials",), []),
        (("space",), {}),
    ]
    for number, (way, odd) in enumerate(changes):
        folder = tmp_path / str(number)
        folder.mkdir()
        changed = copy.deepcopy(document)
        part: Any = changed
        for key in way[:-1]:
            part = part[key]
        part[way[-1]] = odd
        (folder / "results.json").write_text(json.dumps(changed))
        try:
            page = study_page(folder).read_text()
        except RunError as error:
            page = str(error)
            refused.append(page)
        assert "<script>" not in page
        assert "<b>largest" not in page
    assert len(refused) == 8
    assert all("results.json" in words for words in refused)


def test_no_study_is_told(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="no results at"):
        read_study(tmp_path)
