"""The spaces that a search can work in: what it needs to know of each, by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from rnas.genotype import Genotype
from rnas.registry import Registry
from rnas.spaces import darts, nasbench201
from rnas.supernets import nasbench201 as nasbench201_supernet
from rnas.supernets.base import CellSupernet
from rnas.supernets.darts import derive
from rnas.supernets.darts.fused import FusedSupernet
from rnas.supernets.darts.reference import Supernet

__all__ = ["SPACES", "SearchSpace"]


@dataclass(frozen=True)
class SearchSpace:
    """A space made searchable.

    Args:
        kinds: kinds of cell, in the order of alpha's first dimension.
        operations: candidate operations of an edge, in the order of alpha's last dimension.
        supernet: the class of the supernet that mixes all operations of every edge.
        path_supernet: that of a supernet which is fast where most weights are 0.
        derive: (alpha, at_most) to the genotype of alpha, of no more than `at_most` parameters, if given.
        largest: (at_most, generator) to a genotype with the most parameters.
        size: parameters of a genotype's network in the published form of the space, for ten classes.
    """

    kinds: tuple[str, ...]
    operations: tuple[str, ...]
    supernet: type[CellSupernet]
    path_supernet: type[CellSupernet]
    derive: Callable[[Tensor, int | None], Genotype]
    largest: Callable[[int | None, torch.Generator], Genotype]
    size: Callable[[Genotype], int]

    def at_most(self, limit: int | str | None) -> int | None:
        """A size limit in parameters: itself, or that percentage of the space's largest network."""
        if limit is None or isinstance(limit, int):
            return limit
        return int(float(limit.removesuffix("%")) / 100 * self.size(self.largest(None, torch.Generator())))

    def none_weight(self, alpha: Tensor) -> float:
        """The mean softmax weight on `none`, in [0, 1]: how much of the supernet is switched off."""
        return float(alpha.detach().softmax(dim=-1)[..., self.operations.index("none")].mean())


SPACES: Registry[SearchSpace] = Registry("search space")
SPACES.register("darts")(
    SearchSpace(
        kinds=darts.KINDS,
        operations=darts.OPERATIONS,
        supernet=FusedSupernet,
        path_supernet=Supernet,
        derive=derive.derive_genotype,
        largest=derive.largest_genotype,
        size=derive.published_size,
    )
)
SPACES.register("nasbench201")(
    SearchSpace(
        kinds=nasbench201.KINDS,
        operations=nasbench201.OPERATIONS,
        supernet=nasbench201_supernet.NasBench201Supernet,
        path_supernet=nasbench201_supernet.NasBench201Supernet,
        derive=nasbench201_supernet.derive_connected_genotype,
        largest=nasbench201_supernet.largest_genotype,
        size=lambda genotype: nasbench201.count_parameters(nasbench201.operations_of(genotype)),
    )
)
