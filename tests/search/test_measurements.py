"""What was measured is measured once, whatever kills the search."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from rnas.errors import DivergenceError, RunError
from rnas.genotype import Genotype
from rnas.run.directory import Run
from rnas.run.opening import open_run
from rnas.search.measurements import Measurements
from rnas.spaces import nasbench201
from rnas.supernets.space import SPACES

CELLS = [nasbench201.genotype_of(["skip_connect"] * 5 + [name]) for name in nasbench201.OPERATIONS]


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    with open_run(tmp_path / "run", "search", {}, seed=0, device="cpu") as opened:
        yield opened


def measuring(run: Run, values: list[float], **settings: Any) -> tuple[Measurements, list[int], SimpleNamespace]:
    """Measurements of given values at three passes each; and the numbers of the candidates that are measured."""
    state = SimpleNamespace(space=SPACES["nasbench201"], passes=0)
    measured: list[int] = []

    def measure(genotype: Genotype, number: int) -> float:
        assert genotype == CELLS[number]
        measured.append(number)
        state.passes += 3
        return values[number]

    found: Any = state
    return Measurements("values", measure, found, run, **{"total": 5, "every": 2} | settings), measured, state


def test_a_killed_search_measures_what_is_missing(run: Run) -> None:
    values = [0.1, 0.3, 0.2, 0.3, 0.0]
    killed, _, _ = measuring(run, values)
    assert [killed(cell) for cell in CELLS[:3]] == values[:3]  # written after the second
    again, measured, state = measuring(run, values)
    assert [again(cell) for cell in CELLS] == values
    assert measured == [2, 3, 4]
    assert state.passes == 5 * 3
    assert again.ranked() == [CELLS[1], CELLS[3], CELLS[2], CELLS[0], CELLS[4]]
    # The last candidate ends the file, though five is odd.
    listed = json.loads((run.path / "values.json").read_text())["candidates"]
    assert [(one["value"], one["passes"]) for one in listed] == [(value, 3) for value in values]


def test_a_cell_ranks_by_the_best_of_its_values(run: Run) -> None:
    values, measured = [0.2, 0.5, 0.9], iter([0.2, 0.5, 0.9])
    state: Any = SimpleNamespace(space=SPACES["nasbench201"], passes=0)
    twice = Measurements("values", lambda _genotype, _number: next(measured), state, run, total=3, every=1)
    assert [twice(CELLS[index]) for index in (0, 1, 0)] == values
    assert twice.ranked() == [CELLS[0], CELLS[1]]


def test_values_of_other_candidates_are_refused(run: Run) -> None:
    first, _, _ = measuring(run, [0.1] * 5, every=1)
    first(CELLS[0])
    again, _, _ = measuring(run, [0.1] * 5)
    with pytest.raises(RunError, match=r"values\.json: candidate 0 is not the one that this search proposes"):
        again(CELLS[1])


@pytest.mark.parametrize("entry", ['{"value": "high", "passes": 3, "cells": {}}', "7"])
def test_a_file_of_another_kind_is_refused(entry: str, run: Run) -> None:
    (run.path / "values.json").write_text(f'{{"candidates": [{entry}]}}')
    with pytest.raises(RunError, match=r"values\.json"):
        measuring(run, [])


def test_a_value_has_to_be_finite(run: Run) -> None:
    measurements, _, _ = measuring(run, [float("nan")])
    with pytest.raises(DivergenceError, match="candidate 0: values is nan"):
        measurements(CELLS[0])
