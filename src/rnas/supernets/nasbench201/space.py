"""The NAS-Bench-201 space, where every cell's accuracy is known, as a search space."""

from __future__ import annotations

import torch
from torch import Tensor

from rnas.genotype import Genotype
from rnas.networks.nasbench201 import NasBench201Network
from rnas.spaces import nasbench201
from rnas.supernets.nasbench201.derive import (
    choose_connected_genotype,
    derive_connected_genotype,
    largest_genotype,
)
from rnas.supernets.nasbench201.supernet import NasBench201Supernet
from rnas.supernets.space import SPACES, SearchSpace

__all__ = ["NasBench201Space"]


@SPACES.register(nasbench201.NAME)
class NasBench201Space(SearchSpace):
    """One cell with one input, stacked in three stages of `cells` cells."""

    kinds = nasbench201.KINDS
    operations = nasbench201.OPERATIONS
    edges = nasbench201.EDGES
    supernet = NasBench201Supernet
    path_supernet = NasBench201Supernet
    partial_channels = True
    channels = nasbench201.CHANNELS
    cells = nasbench201.CELLS_PER_STAGE
    keeps_none = True

    def build(
        self, genotype: Genotype, num_classes: int, *, channels: int, cells: int, in_channels: int
    ) -> NasBench201Network:
        return NasBench201Network(genotype, num_classes, channels=channels, cells=cells, in_channels=in_channels)

    def derive(self, alpha: Tensor, at_most: int | None) -> Genotype:
        return derive_connected_genotype(alpha, at_most)

    def choose(self, weights: Tensor, at_most: int | None) -> Genotype:
        return choose_connected_genotype(weights, at_most)

    def largest(self, at_most: int | None, generator: torch.Generator) -> Genotype:
        return largest_genotype(at_most, generator)

    def neighbours(self, genotype: Genotype) -> list[Genotype]:
        """Those that differ on one edge and still pass their input on."""
        return [one for one in super().neighbours(genotype) if nasbench201.is_connected(nasbench201.operations_of(one))]

    def size(self, genotype: Genotype) -> int:
        return nasbench201.count_parameters(nasbench201.operations_of(genotype))
