"""Regularised evolution: in a population of fixed size the best of a random few has a mutant, and the oldest dies.

The first P candidates are random ones. After that, until C have been rewarded (Algorithm 1):

    draw S members of the population, with replacement; the one of the highest reward is the parent
    add a mutant of the parent: one edge with another operation, or one that reads another node
    remove the oldest member, however good it is

As all die, a cell lasts only if its descendants are found good anew: luck in one noisy training is forgotten.

References:
    Real et al. 2019, "Regularized Evolution for Image Classifier Architecture Search"
    (https://arxiv.org/abs/1802.01548), Section 3 and Algorithm 1.

Deviations:
    The reward is robust accuracy after a short adversarial training, or with the weights of a supernet. The paper has
    C = 20,000, P = 100 and S = 25; the defaults keep S / P.
    A mutant is any neighbour of its parent within the size limit, all equally likely; the paper chooses between the two
    kinds of change first, and in one of twenty cases changes nothing. A parent without such a neighbour is followed by
    a random cell.
    Members are trained one after another, where the paper trains hundreds at a time.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch

from rnas.config import require
from rnas.genotype import Genotype
from rnas.search.algorithm import ALGORITHMS, SearchState
from rnas.search.random import random_genotype
from rnas.search.sampling import Reward, Sampling, SamplingConfig
from rnas.seeding import derive

__all__ = ["Evolution", "EvolutionConfig"]


@dataclass(frozen=True)
class EvolutionConfig(SamplingConfig):
    """Settings of the algorithm "evolution"; what it shares with others is in `SamplingConfig`.

    Args:
        population: members that live at a time, from 1 to `candidates`.
        tournament: members drawn for each mutant, at least 1; the best of them is its parent.
    """

    population: int = 20
    tournament: int = 5

    def __post_init__(self) -> None:
        """Check the ranges."""
        super().__post_init__()
        most = f"an integer from 1 to candidates ({self.candidates})"
        require(1 <= self.population <= self.candidates, "population", most, self.population)
        require(self.tournament >= 1, "tournament", "an integer >= 1", self.tournament)


class Member(NamedTuple):
    """One of the population."""

    genotype: Genotype
    reward: float


@ALGORITHMS.register("evolution", settings=EvolutionConfig)
class Evolution(Sampling):
    """Algorithm 1 of Real et al."""

    def explore(self, state: SearchState, reward: Reward, seed: int) -> None:
        space, at_most = state.space, state.space.at_most(self.config.size_limit)
        population: deque[Member] = deque(maxlen=self.own.population)  # a full one drops its oldest member
        for number in range(self.own.candidates):
            generator = torch.Generator().manual_seed(derive(seed, number))
            genotype = None
            if number >= self.own.population:
                genotype = space.mutate(parent(population, self.own.tournament, generator), at_most, generator)
            if genotype is None:
                genotype = random_genotype(space, at_most, generator)
            population.append(Member(genotype, reward(genotype)))


def parent(population: Sequence[Member], tournament: int, generator: torch.Generator) -> Genotype:
    """The best of some members that are drawn with replacement; of equal ones the one that was drawn first."""
    drawn = torch.randint(len(population), (tournament,), generator=generator).tolist()
    return max((population[index] for index in drawn), key=lambda member: member.reward).genotype
