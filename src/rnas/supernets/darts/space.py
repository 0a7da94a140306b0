"""The DARTS space, in which the paper searches (Section 5.1), as a search space."""

from __future__ import annotations

import math
from typing import ClassVar

import torch
from torch import Tensor

from rnas.genotype import Genotype
from rnas.networks.cells import CellNetwork
from rnas.networks.zoo import PUBLISHED_CELLS, PUBLISHED_CHANNELS
from rnas.spaces import darts
from rnas.supernets.darts.derive import (
    TARGETS,
    choose_genotype,
    derive_genotype,
    largest_genotype,
    least_size,
    size_around_operations,
    size_of_operations,
)
from rnas.supernets.darts.fused import FusedSupernet
from rnas.supernets.darts.reference import Supernet
from rnas.supernets.space import SPACES, SearchSpace

__all__ = ["DartsSpace"]


@SPACES.register(darts.NAME)
class DartsSpace(SearchSpace):
    """Normal and reduction cells with two inputs each."""

    kinds = darts.KINDS
    operations = darts.OPERATIONS
    edges = darts.EDGES
    #: Earlier nodes that an intermediate node of a genotype reads.
    edges_per_node: ClassVar[int] = 2
    supernet = FusedSupernet
    path_supernet = Supernet
    partial_channels = True
    channels = PUBLISHED_CHANNELS
    cells = PUBLISHED_CELLS
    least_cells = 3
    why_least = "the two reduction cells differ from the first"
    trains_cells = True

    def build(
        self, genotype: Genotype, num_classes: int, *, channels: int, cells: int, in_channels: int
    ) -> CellNetwork:
        return CellNetwork(genotype, num_classes, channels=channels, cells=cells, in_channels=in_channels)

    def derive(self, alpha: Tensor, at_most: int | None) -> Genotype:
        return derive_genotype(alpha, at_most, edges_per_node=self.edges_per_node)

    def choose(self, weights: Tensor, at_most: int | None) -> Genotype:
        return choose_genotype(weights.detach().double().cpu(), at_most, self.edges_per_node)

    def has_network(self, left: Tensor, at_most: int | None) -> bool:
        least = least_size(left, self.edges_per_node)
        return least < math.inf if at_most is None else least <= at_most

    def largest(self, at_most: int | None, generator: torch.Generator) -> Genotype:
        return largest_genotype(at_most, generator, self.edges_per_node)

    def size(self, genotype: Genotype) -> int:
        if any(cell.concat != TARGETS for _, cell in genotype.cells):
            return super().size(genotype)
        return size_around_operations() + size_of_operations(genotype)
