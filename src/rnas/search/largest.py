"""The trivial answer: the cell with the most parameters within the size limit, a random one of equally large ones.

On NAS-RobBench-201 the parameter count alone orders cells by robust accuracy with Kendall's tau 0.65, so a search that
does not beat this has found nothing.

References:
    Wu et al. 2024, NAS-RobBench-201 (https://openreview.net/forum?id=cdUpf6t6LZ); docs/log.md for the figure.
"""

from __future__ import annotations

import torch

from rnas.genotype import Genotype
from rnas.search.algorithm import ALGORITHMS, Algorithm, SearchState

__all__ = ["Largest"]


@ALGORITHMS.register("largest")
class Largest(Algorithm):
    """No search: the size decides, and the seed between equal ones."""

    def candidate(self, state: SearchState, index: int, at_most: int | None, generator: torch.Generator) -> Genotype:  # noqa: ARG002
        return state.space.largest(at_most, generator)
