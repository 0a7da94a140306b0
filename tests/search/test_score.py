"""Search by a score: the best come first, and a killed search does not score again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from rnas.commands import SearchCommand, run_search
from rnas.config import PgdConfig
from rnas.data.config import DataConfig
from rnas.genotype import Genotype
from rnas.scores.registry import SCORES, Score
from rnas.search import score as module
from rnas.search.algorithm import ALGORITHMS
from rnas.search.extending import search_config
from rnas.search.score import ScoreConfig
from rnas.supernets.space import SPACES


def command(out: Path, own: ScoreConfig, **changes: Any) -> SearchCommand:
    assert "score" in ALGORITHMS  # its settings are known from here on
    settings = {"size_limit": "20%", "channels": 2, "cells": 1, "batch_size": 16, "attack": PgdConfig(steps=1)}
    search = search_config(algorithm="score", space="nasbench201", score=own, **settings | changes)
    return SearchCommand(out=str(out), data=DataConfig(limit=40), search=search, threads=1)


def scores_in(folder: Path) -> list[float]:
    return [entry["value"] for entry in json.loads((folder / "scores.json").read_text())["candidates"]]


def test_the_best_of_the_drawn_cells_is_found(tmp_path: Path) -> None:
    space = SPACES["nasbench201"]
    folder = run_search(command(tmp_path / "run", ScoreConfig("parameters", draws=8)))
    scores = scores_in(folder)
    results = json.loads((folder / "results.json").read_text())
    assert 2 < len(set(scores)) <= len(scores) <= 8
    # Digits have one channel where the published networks have three: 2 * 16 * 9 weights of the first layer less.
    assert results["parameters"] == max(scores) + 288 == space.size(Genotype.load(folder / "genotype.json"))
    assert results["parameters"] <= (space.at_most("20%") or 0)
    assert results["passes"] == 0


def test_a_killed_search_goes_on_with_the_scores_that_it_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = ScoreConfig("nwot", draws=5, images=4)
    whole = run_search(command(tmp_path / "whole", own))
    monkeypatch.setattr(module, "EVERY", 1)
    rule = SCORES["nwot"].rule
    calls: list[None] = []

    def dies_at_the_third(*arguments: Any) -> float:
        calls.append(None)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return rule(*arguments)

    monkeypatch.setitem(SCORES._items, "nwot", Score(dies_at_the_third, passes=1))
    with pytest.raises(KeyboardInterrupt):
        run_search(command(tmp_path / "killed", own))
    killed = run_search(command(tmp_path / "killed", own))
    scores = scores_in(whole)
    assert len(calls) == 1 + len(scores)
    for name in ("genotype.json", "results.json", "scores.json"):
        assert (killed / name).read_bytes() == (whole / name).read_bytes()
    assert json.loads((whole / "results.json").read_text())["passes"] == len(scores)
