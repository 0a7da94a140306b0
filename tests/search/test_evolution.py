"""Regularised evolution: who has children, who dies, and that a killed one goes on."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.search.small import begun, found, run

from rnas.errors import ConfigError
from rnas.genotype import Genotype
from rnas.run.files import read_summary
from rnas.search import candidates
from rnas.search.config import ShortlistConfig
from rnas.search.evolution import EvolutionConfig, Member, parent
from rnas.search.subnets import Subnets
from rnas.spaces import nasbench201
from rnas.supernets.space import SPACES
from rnas.training import loop as training_loop

SPACE = SPACES["nasbench201"]


def explored(rewards: Callable[[int], float], **own: Any) -> list[Genotype]:
    """The candidates of an evolution in which the number alone decides how good one is."""
    algorithm, state = begun("evolution", own)
    drawn: list[Genotype] = []

    def reward(genotype: Genotype) -> float:
        drawn.append(genotype)
        return rewards(len(drawn) - 1)

    algorithm.explore(state, reward, 3)
    return drawn


def test_the_best_die_of_age() -> None:
    """Of three the first is the best, then the second, then the third; each has one child before it is the oldest."""
    drawn = explored(lambda number: -number, candidates=6, population=3, tournament=50)
    for child, father in ((3, 0), (4, 1), (5, 2)):
        assert drawn[child] in SPACE.neighbours(drawn[father])
    # Were the worst removed instead, the first would be the parent of all.
    assert drawn[4] not in SPACE.neighbours(drawn[0])
    assert drawn[5] not in SPACE.neighbours(drawn[0])


def test_the_best_of_the_living_has_the_children() -> None:
    drawn = explored(lambda number: number == 2, candidates=6, population=3, tournament=50)
    assert all(child in SPACE.neighbours(drawn[2]) for child in drawn[3:])


def test_members_are_drawn_with_replacement() -> None:
    """The best of P is among S that are drawn with probability 1 - (1 - 1 / P)^S."""
    cells = [nasbench201.genotype_of(["skip_connect"] * 5 + [name]) for name in nasbench201.OPERATIONS[:4]]
    members = [Member(cell, reward) for cell, reward in zip(cells, (0.1, 0.4, 0.3, 0.2), strict=True)]
    generator = torch.Generator().manual_seed(0)
    draws = 2000
    won = [parent(members, 3, generator) for _ in range(draws)].count(cells[1])
    expected = 1 - (1 - 1 / 4) ** 3
    assert abs(won / draws - expected) < 4 * (expected * (1 - expected) / draws) ** 0.5


def test_the_answer_is_the_most_robust_after_its_training(tmp_path: Path) -> None:
    own = {"candidates": 4, "population": 2, "tournament": 2, "epochs": 12}
    folder = run(tmp_path / "run", "evolution", own)
    rewards = [one["value"] for one in found(folder, "rewards")]
    trainings = [folder / "trainings" / str(number) for number in range(4)]
    assert rewards == [read_summary(training)["robust_accuracy"] for training in trainings]
    assert len(set(rewards)) > 1
    answer = Genotype.load(folder / "genotype.json")
    assert answer == Genotype.load(trainings[rewards.index(max(rewards))] / "genotype.json")
    results = json.loads((folder / "results.json").read_text())
    assert results["parameters"] <= results["size_limit"]
    # Twelve epochs of two batches, one pass of the attack and one of the training; two of the sample, five each.
    assert results["passes"] == 4 * (12 * 2 * 2 + 2 * 5)


@pytest.mark.parametrize("reward", ["training", "supernet"])
def test_a_killed_evolution_goes_on(reward: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = {"candidates": 5, "population": 2, "tournament": 2, "reward": reward, "epochs": 5}
    whole = run(tmp_path / "whole", "evolution", own)
    measured: list[object] = []
    train, inherited = training_loop.train, Subnets.inherited_accuracy

    def dying(work: Callable[..., Any]) -> Callable[..., Any]:
        def once(*arguments: Any, **settings: Any) -> Any:
            measured.append(None)
            if len(measured) == 4:
                raise KeyboardInterrupt
            return work(*arguments, **settings)

        return once

    monkeypatch.setattr(candidates, "train", dying(train))
    monkeypatch.setattr(Subnets, "inherited_accuracy", dying(inherited))
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "killed", "evolution", own)
    killed = run(tmp_path / "killed", "evolution", own)
    assert len({one["value"] for one in found(whole, "rewards")}) > 1
    # With a supernet the file is written after every second candidate, and the third is measured again.
    assert len(measured) == 5 + (1 if reward == "training" else 2)
    for name in ("genotype.json", "results.json", "rewards.json", "alpha.safetensors"):
        assert (killed / name).read_bytes() == (whole / name).read_bytes(), name


def test_a_shortlist_races_the_best(tmp_path: Path) -> None:
    own = {"candidates": 4, "population": 4, "reward": "supernet"}
    shortlist = ShortlistConfig(count=2, epochs=1, images=20)
    folder = run(tmp_path / "run", "evolution", own, shortlist=shortlist)
    lines = sorted(found(folder, "rewards"), key=lambda one: -one["value"])
    for number in range(2):
        raced = Genotype.load(folder / "candidates" / str(number) / "genotype.json")
        assert raced.cells_document()["cells"] == lines[number]["cells"]


def test_a_population_has_to_fit_the_budget() -> None:
    with pytest.raises(ConfigError, match=r"population: expected an integer from 1 to candidates \(5\), got 20"):
        EvolutionConfig(candidates=5)
    with pytest.raises(ConfigError, match="candidates: expected an integer >= 1, got 0"):
        EvolutionConfig(candidates=0)
    with pytest.raises(ConfigError, match="reward: expected training or supernet, got 'loss'"):
        EvolutionConfig(reward="loss")
