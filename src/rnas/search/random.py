"""Random search: cells drawn at random within the size limit. What every search has to beat at equal cost.

With `search.shortlist.count` above 1 so many are trained for a short time, and the best is kept; else one is drawn.

References:
    Li and Talwalkar 2019, "Random Search and Reproducibility for Neural Architecture Search"
    (https://arxiv.org/abs/1902.07638).
"""

from __future__ import annotations

import torch

from rnas.genotype import Genotype
from rnas.search.algorithm import ALGORITHMS, Algorithm, SearchState
from rnas.supernets.space import SearchSpace

__all__ = ["DRAWS", "RandomSearch", "random_genotype"]

#: Draws for each distinct genotype that is wanted: in a small space or under a tight limit there may be no more.
DRAWS = 50


@ALGORITHMS.register("random")
class RandomSearch(Algorithm):
    """A random alpha for each candidate; without a size limit all choices on an edge are equally likely."""

    def candidate(self, state: SearchState, index: int, at_most: int | None, generator: torch.Generator) -> Genotype:  # noqa: ARG002
        return random_genotype(state.space, at_most, generator)


def random_genotype(space: SearchSpace, at_most: int | None, generator: torch.Generator) -> Genotype:
    """A genotype of a space, drawn with a random alpha; raises as `SearchSpace.derive`.

    Args:
        space: the space.
        at_most: see `SearchSpace.derive`.
        generator: on any device.
    """
    alpha = torch.empty(space.supernet.alpha_shape, device=generator.device).exponential_(generator=generator)
    return space.derive(alpha.log().neg().cpu(), at_most)
