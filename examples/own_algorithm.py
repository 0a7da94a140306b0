"""Register a search algorithm of your own, with a setting of its own, and let any command search with it.

rnas search --plugin examples/own_algorithm.py --search.algorithm fewest_skips --search.fewest_skips.draws 30
"""

from dataclasses import dataclass

import torch

from rnas.config import require
from rnas.genotype import Genotype
from rnas.search.algorithm import ALGORITHMS, Algorithm, SearchState


@dataclass(frozen=True)
class FewestSkipsConfig:
    """Settings of the algorithm "fewest_skips".

    Args:
        draws: random cells to choose from, at least 1.
    """

    draws: int = 10

    def __post_init__(self) -> None:
        """Check the range."""
        require(self.draws >= 1, "draws", "an integer >= 1", self.draws, at_most=10_000)


@ALGORITHMS.register("fewest_skips", settings=FewestSkipsConfig)
class FewestSkips(Algorithm):
    """Of random cells the one with the fewest skip connections, which gradient searches are known to gather.

    An algorithm that trains the supernet derives from `rnas.search.algorithm.SupernetAlgorithm` and has steps on theta
    and alpha; `rnas/search/darts.py` is a short one.
    """

    def candidate(self, state: SearchState, index: int, at_most: int | None, generator: torch.Generator) -> Genotype:
        draws = self.own.draws
        drawn = [state.space.derive(torch.randn(state.alpha.shape, generator=generator), at_most) for _ in range(draws)]
        return sorted(drawn, key=skips)[index % draws]


def skips(genotype: Genotype) -> int:
    """How many edges of the cells are skip connections."""
    return sum(edge.op == "skip_connect" for kind in genotype.kinds for node in genotype[kind].nodes for edge in node)
