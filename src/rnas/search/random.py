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

__all__ = ["RandomSearch"]


@ALGORITHMS.register("random")
class RandomSearch(Algorithm):
    """A random alpha for each candidate; without a size limit all choices on an edge are equally likely."""

    def candidate(self, state: SearchState, index: int, at_most: int | None, generator: torch.Generator) -> Genotype:  # noqa: ARG002
        noise = torch.empty(state.alpha.shape).exponential_(generator=generator).log().neg()
        return state.space.derive(noise, at_most)
