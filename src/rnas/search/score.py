"""Search by a training-free score: of some random cells within the size limit those with the highest score.

The networks have the space's published width and depth and fresh weights. Nothing is trained; with
`search.shortlist.count` above 1 the best race.

References:
    Abdelfattah et al. 2021, "Zero-cost proxies for lightweight NAS" (https://arxiv.org/abs/2101.08134), Section 4:
    random cells, the best by a proxy first. Each score's own source is in `rnas.scores`.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from rnas.config import MOST_REPETITIONS, require
from rnas.errors import UnknownNameError
from rnas.genotype import Genotype
from rnas.models.spec import NetworkSpec
from rnas.scores import SCORES
from rnas.search.algorithm import ALGORITHMS, Algorithm, Preparation, SearchState
from rnas.search.config import SearchConfig
from rnas.search.measurements import Measurements
from rnas.search.random import random_genotype
from rnas.seeding import derive
from rnas.supernets.space import SearchSpace

__all__ = ["ScoreConfig", "ScoreSearch"]

#: Scores between two writes of those that are there.
EVERY = 25

#: In place of minus infinity, which JSON does not have.
LEAST = -1e300


@dataclass(frozen=True)
class ScoreConfig:
    """Settings of the algorithm "score".

    Args:
        name: the score: synflow, nwot, zico, croze, jacobian, vulnerability or parameters.
        draws: how many random cells to draw, at least 1; equal ones are scored once.
        images: how many validation images to look at, at least 2, and at most `search.shortlist.images`.
    """

    name: str = "synflow"
    draws: int = 100
    images: int = 32

    def __post_init__(self) -> None:
        """Check the ranges."""
        require(self.draws >= 1, "draws", "an integer >= 1", self.draws, at_most=MOST_REPETITIONS)
        require(self.images >= 2, "images", "an integer >= 2", self.images)


@ALGORITHMS.register("score", settings=ScoreConfig)
class ScoreSearch(Algorithm):
    """The cell with the highest training-free score, of some random ones. It writes scores.json into the run."""

    @classmethod
    def check(cls, config: SearchConfig, space: SearchSpace) -> None:  # noqa: ARG003 - every space has networks
        name = (getattr(config, "score", None) or ScoreConfig()).name
        try:
            SCORES[name]
        except UnknownNameError as error:
            raise UnknownNameError(f"search.score.name: {error}") from error

    def prepare(self, state: SearchState, search: Preparation) -> None:
        seed, space, score = search.run.manifest["seed"], state.space, SCORES[self.own.name]
        images, labels = search.sample.images[: self.own.images], search.sample.labels[: self.own.images]
        at_most = space.at_most(self.config.size_limit)
        generators = (torch.Generator().manual_seed(derive(seed, "drawn", index)) for index in range(self.own.draws))
        cells = dict.fromkeys(random_genotype(space, at_most, generator) for generator in generators)

        def measure(genotype: Genotype, number: int) -> float:
            spec = NetworkSpec(
                None, genotype, search.data.num_classes, search.data.channels, space.channels, space.cells
            )
            network = spec.build(seed=derive(seed, "score", number)).to(search.device)
            generator = torch.Generator(images.device).manual_seed(derive(seed, "score noise", number))
            state.passes += score.passes
            return max(score(network, images, labels, generator), LEAST)

        scores = Measurements("scores", measure, state, search.run, total=len(cells), every=EVERY)
        for cell in cells:
            scores(cell)
        self.best = scores.ranked()

    def candidate(self, state: SearchState, index: int, at_most: int | None, generator: torch.Generator) -> Genotype:  # noqa: ARG002
        return self.best[index % len(self.best)]
