"""Search by a training-free score: of some random cells within the size limit those with the highest score.

The networks have the space's published width and depth and fresh weights. Nothing is trained; with
`search.shortlist.count` above 1 the best race.

References:
    Abdelfattah et al. 2021, "Zero-cost proxies for lightweight NAS" (https://arxiv.org/abs/2101.08134), Section 4:
    random cells, the best by a proxy first. Each score's own source is in `rnas.scores`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch

from rnas import parallel
from rnas.config import MOST_REPETITIONS, require
from rnas.errors import UnknownNameError
from rnas.genotype import Genotype
from rnas.models.spec import NetworkSpec
from rnas.progress import reporting
from rnas.run.files import read_object
from rnas.scores import SCORES
from rnas.search.algorithm import ALGORITHMS, Algorithm, Preparation, SearchState
from rnas.search.config import SearchConfig
from rnas.seeding import derive
from rnas.supernets.space import SearchSpace

__all__ = ["ScoreConfig", "ScoreSearch"]

#: Scores between two writes of those that are there.
EVERY = 25


@dataclass(frozen=True)
class ScoreConfig:
    """Settings of the algorithm "score".

    Args:
        name: the score: synflow, nwot, zico, croze, jacobian, vulnerability or parameters.
        draws: random cells, at least 1; equal ones are scored once.
        images: validation images that it looks at, at least 2, and at most `search.shortlist.images`.
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
        """Score the cells; those that scores.json of a killed search has are not scored again."""
        seed, space, score = search.run.manifest["seed"], state.space, SCORES[self.own.name]
        cells = dict.fromkeys(draw(state, self.config, seed, index) for index in range(self.own.draws))
        kept = parallel.from_first(lambda: read_object(search.run.path / "scores.json")) or {}
        values: list[float | None] = list(kept.get("scores", []))[: len(cells)]
        images = search.sample.images[: self.own.images]
        labels = search.sample.labels[: self.own.images]
        with reporting(f"scoring {search.run.path.name}", len(cells), start=len(values)) as progress:
            for number, cell in enumerate(cells):
                if number >= len(values):
                    spec = NetworkSpec(
                        None, cell, search.data.num_classes, search.data.channels, space.channels, space.cells
                    )
                    network = spec.build(seed=derive(seed, "score", number)).to(search.device)
                    generator = torch.Generator(images.device).manual_seed(derive(seed, "score noise", number))
                    value = score(network, images, labels, generator)
                    values.append(value if math.isfinite(value) else None)  # JSON has no infinity
                    if len(values) % EVERY == 0 or len(values) == len(cells):
                        search.run.write_json("scores.json", {"scores": values})
                    progress.update(number + 1)
        state.passes += score.passes * len(cells)
        found = dict(zip(cells, (-math.inf if value is None else value for value in values), strict=True))
        self.best = sorted(found, key=found.__getitem__, reverse=True)  # of equal ones the first drawn

    def candidate(self, state: SearchState, index: int, at_most: int | None, generator: torch.Generator) -> Genotype:  # noqa: ARG002
        return self.best[index % len(self.best)]


def draw(state: SearchState, config: SearchConfig, seed: int, index: int) -> Genotype:
    """A random cell within the size limit, as random search draws it."""
    generator = torch.Generator().manual_seed(derive(seed, "drawn", index))
    noise = torch.empty(state.alpha.shape).exponential_(generator=generator).log().neg()
    return replace(state.space.derive(noise, state.space.at_most(config.size_limit)), space=state.space.name)
