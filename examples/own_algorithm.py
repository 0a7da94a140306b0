"""Register a search algorithm of your own, and let any command search with it.

rnas search --plugin examples/own_algorithm.py --search.algorithm fewest_skips --search.shortlist.count 4
"""

import torch

from rnas.genotype import Genotype
from rnas.search.algorithm import ALGORITHMS, Algorithm, SearchState

DRAWN = 10


@ALGORITHMS.register("fewest_skips")
class FewestSkips(Algorithm):
    """Of random cells the one with the fewest skip connections, which gradient searches are known to gather.

    An algorithm that trains the supernet derives from `rnas.search.algorithm.SupernetAlgorithm` and has steps on theta
    and alpha; `rnas/search/darts.py` is a short one.
    """

    def candidate(self, state: SearchState, index: int, at_most: int | None, generator: torch.Generator) -> Genotype:
        drawn = [state.space.derive(torch.randn(state.alpha.shape, generator=generator), at_most) for _ in range(DRAWN)]
        return sorted(drawn, key=skips)[index % DRAWN]


def skips(genotype: Genotype) -> int:
    """How many edges of the cells are skip connections."""
    return sum(edge.op == "skip_connect" for kind in genotype.kinds for node in genotype[kind].nodes for edge in node)
