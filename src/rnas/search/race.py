"""The end of a search: the derived network, or the winner of a race between candidates.

Weights that a supernet shares order networks badly; those that a network has trained by itself, if only for a short
time, do it much better (docs/nas_robbench_201.md). So candidates are trained alone, in rungs: one in eta of each rung
goes on to the next, which trains it anew and eta times as long. Every training ends with a learning rate of zero, for
a constant rate hides the order. Each candidate of each rung is a run of its own, so they can be made in any order.

What orders the candidates of a rung is the problem of Eq. 8, in one of the readings of `ORDERS`.

References:
    "RNAS: Robust Network Architecture Search beyond DARTS", Eq. 8.
    Karnin et al. 2013, "Almost optimal exploration in multi-armed bandits": successive halving.
    Jamieson and Talwalkar 2016 (https://arxiv.org/abs/1502.07943): the same for trainings.
    Real et al. 2019 (https://arxiv.org/abs/1802.01548): mutants of the best so far.

Deviations:
    A rung trains its candidates anew rather than going on with their weights: a training whose rate has ended at zero
    has nothing to go on with.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch

from rnas import parallel
from rnas.errors import RunError
from rnas.executors.jobs import Job
from rnas.genotype import Genotype
from rnas.run.files import refuse_link
from rnas.run.search_results import Candidate
from rnas.search.algorithm import Algorithm, Preparation, SearchState
from rnas.search.candidates import Trial, measures_of, perform
from rnas.search.config import ShortlistConfig
from rnas.search.random import DRAWS
from rnas.seeding import derive

__all__ = ["ORDERS", "Race"]

#: What a rung measured of one candidate, by name.
Measures = Mapping[str, float]


def by_bound(measured: Sequence[Measures], config: ShortlistConfig) -> list[int]:
    """Equation 8, H such that a given share of the candidates is kept: those with F <= H by their adversarial loss."""
    by_vulnerability = by_measure("F", measured)
    kept = set(by_vulnerability[: math.ceil(config.keep * len(measured))])
    return sorted(by_measure("adversarial_loss", measured), key=lambda index: index not in kept)


def by_ranks(measured: Sequence[Measures], config: ShortlistConfig) -> list[int]:  # noqa: ARG001 - one signature for all
    """The sum of the ranks by F and by adversarial loss; of equal sums the lower loss."""
    places = [0] * len(measured)
    for name in ("F", "adversarial_loss"):
        for place, index in enumerate(by_measure(name, measured)):
            places[index] += place
    return sorted(by_measure("adversarial_loss", measured), key=places.__getitem__)


def by_measure(name: str, measured: Sequence[Measures]) -> list[int]:
    """The lowest first; of equal ones the earlier candidate."""
    return sorted(range(len(measured)), key=lambda index: measured[index][name])


#: Rules: from what a rung measured of each candidate to their positions, the best first.
ORDERS: dict[str, Callable[[Sequence[Measures], ShortlistConfig], list[int]]] = {
    "bound": by_bound,
    "ranks": by_ranks,
    "F": lambda measured, _: by_measure("F", measured),
    "loss": lambda measured, _: by_measure("adversarial_loss", measured),
}


class Race:
    """The choice between a search's candidates.

    Args:
        algorithm: proposes them.
        state: the search at its end; its passes are counted on.
        search: where and on what candidates are trained and measured. Each has a run directory below the search's, so a
            killed race goes on.
    """

    def __init__(self, algorithm: Algorithm, state: SearchState, search: Preparation) -> None:
        self.algorithm, self.state, self.search = algorithm, state, search
        self.config, self.settings = algorithm.config, algorithm.config.shortlist
        self.seed: int = search.run.manifest["seed"]
        self.at_most = state.space.at_most(self.config.size_limit)
        share, space = self.settings.least_share, state.space
        self.least = share and share * space.size(space.largest(self.at_most, torch.Generator()))
        self.folder = search.run.path / "candidates"
        self.genotypes: list[Genotype] = []
        self.parents: list[int | None] = []
        self.measures: list[list[Measures]] = []

    def run(self) -> tuple[Genotype, tuple[Candidate, ...]]:
        """The winner, and all candidates in the order of proposal; none where there was nothing to choose from."""
        refuse_link(self.folder)
        settings = self.settings
        self.propose(math.ceil(settings.count / settings.generations))
        if len(self.genotypes) == 1:
            return self.genotypes[0], ()
        self.train(range(len(self.genotypes)), 0)
        while len(self.genotypes) < settings.count and (born := self.breed()):
            self.train(born, 0)
        racing = self.order(range(len(self.genotypes)), 0)
        for rung in range(1, settings.rungs):
            racing = sorted(racing[: math.ceil(len(racing) / settings.eta)])
            if len(racing) == 1:
                break
            self.train(racing, rung)
            racing = self.order(racing, rung)
        candidates = (Candidate(tuple(one), parent) for one, parent in zip(self.measures, self.parents, strict=True))
        return self.genotypes[racing[0]], tuple(candidates)

    def order(self, racing: Sequence[int], rung: int) -> list[int]:
        """The candidates of a rung, the best first."""
        measured = [self.measures[number][rung] for number in racing]
        return [racing[place] for place in ORDERS[self.settings.rule](measured, self.settings)]

    def train(self, racing: Sequence[int], rung: int) -> None:
        """Train and measure candidates, each as long as the rung says."""
        settings, search = self.settings, self.search
        epochs = settings.epochs * settings.eta**rung
        if settings.rungs > 1 and parallel.rank() == 0:
            told = f"rung {rung + 1} of {settings.rungs}: {len(racing)} candidates, epochs each: {epochs}"
            print(told, file=sys.stderr, flush=True)
        jobs = []
        for number in racing:
            seed = derive(self.seed, "candidate", number)
            seed = derive(seed, "rung", rung) if rung else seed
            trial = Trial.of(self.place(number, rung), self.genotypes[number], seed, epochs, self.config, search)
            jobs.append(Job(f"candidate {number}", partial(perform, trial)))
        if search.execute is None:
            for job in jobs:
                job.work()
        else:
            for outcome in search.execute(jobs):
                if outcome.failure is not None:
                    raise RunError(f"{outcome.job.name}: {outcome.failure}")
        for number in racing:
            self.measures[number].append(measures_of(self.place(number, rung), self.state))

    def place(self, number: int, rung: int) -> Path:
        """The run directory of a candidate; in the first rung it is where older versions had it."""
        return self.folder / (f"rung-{rung + 1}/{number}" if rung else str(number))

    def propose(self, count: int) -> None:
        """Distinct candidates of the algorithm, its own answer first; fewer than asked for where there are no more."""
        known = len(self.genotypes)
        for index in range(DRAWS * count):
            if len(self.genotypes) == known + count:
                break
            generator = torch.Generator().manual_seed(derive(self.seed, "candidate", index, "draw"))
            self.enter(self.algorithm.candidate(self.state, index, self.at_most, generator), None)

    def breed(self) -> list[int]:
        """A generation of mutants of the best eta-th of the first rung so far; empty where all of them are known."""
        settings, known = self.settings, len(self.genotypes)
        best = self.order(range(known), 0)[: math.ceil(known / settings.eta)]
        count = min(settings.count - known, math.ceil(settings.count / settings.generations))
        for index in range(DRAWS * count):
            if len(self.genotypes) == known + count:
                break
            generator = torch.Generator().manual_seed(derive(self.seed, "mutant", known, index))
            parent = best[int(torch.randint(len(best), (), generator=generator))]
            if (mutant := self.state.space.mutate(self.genotypes[parent], self.at_most, generator)) is not None:
                self.enter(mutant, parent)
        return list(range(known, len(self.genotypes)))

    def enter(self, genotype: Genotype, parent: int | None) -> None:
        """Let a candidate take part, unless it is too small or does already."""
        named = replace(genotype, space=self.state.space.name)
        if named not in self.genotypes and (not self.least or self.state.space.size(named) >= self.least):
            self.genotypes.append(named)
            self.parents.append(parent)
            self.measures.append([])
