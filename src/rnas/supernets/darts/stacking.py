"""The parameters of a supernet's cell, stacked so that one call computes all edges that leave a node.

The separable and the dilated convolutions are chains of blocks: ReLU, depthwise convolution, 1x1 convolution, batch
norm. Three *stages* of such blocks cover them: the first and the second half of the separable convolutions, and the
dilated ones. In each, the kinds 3x3 and 5x5 are computed together, the smaller kernel with zeros around it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rnas.networks.operations import FactorizedReduce
from rnas.spaces import darts
from rnas.supernets.base import MixedOperation

__all__ = [
    "BY_SOURCE",
    "POOLS",
    "SOURCES",
    "CellModules",
    "Source",
    "Stage",
    "operations",
    "reduction_matrix",
    "running_statistics",
]


class Source(NamedTuple):
    """A node and the edges that leave it.

    Args:
        size: number of these edges; they lead to the last `size` nodes, in order.
        edges: where they are among all edges ordered by source.
    """

    size: int
    edges: slice


#: Indices of darts.EDGES ordered by source node, then by target.
BY_SOURCE = sorted(range(len(darts.EDGES)), key=lambda index: darts.EDGES[index])


def _sources() -> list[Source]:
    counts = [sum(source == node for source, _ in darts.EDGES) for node in range(darts.INPUTS + darts.NODES - 1)]
    return [Source(count, slice(sum(counts[:node]), sum(counts[: node + 1]))) for node, count in enumerate(counts)]


#: The nodes that edges leave, in order.
SOURCES = _sources()

POOLS = ("max_pool_3x3", "avg_pool_3x3")
SEPARABLE = ("sep_conv_3x3", "sep_conv_5x5")
DILATED = ("dil_conv_3x3", "dil_conv_5x5")


def operations(*names: str) -> list[int]:
    """Their indices in alpha's last dimension."""
    return [darts.OPERATIONS.index(name) for name in names]


class Stage:
    """The same block of two kinds of convolution, on all edges of a cell.

    Args:
        kinds: names of the operations.
        edges: the cell's edges, ordered by source.
        start: position of the block's depthwise convolution in its operation.
    """

    def __init__(self, kinds: tuple[str, str], edges: Sequence[MixedOperation], *, start: int) -> None:
        self.operations = operations(*kinds)
        blocks = [[cast("nn.Sequential", edge.operations[kind]) for edge in edges] for kind in self.operations]
        self.depthwise = [[cast("nn.Conv2d", block[start]) for block in row] for row in blocks]
        self.pointwise = [[cast("nn.Conv2d", block[start + 1]) for block in row] for row in blocks]
        self.norms = [[cast("nn.BatchNorm2d", block[start + 2]) for block in row] for row in blocks]

    def kernels(self) -> Tensor:
        """Kernels of the depthwise convolutions, shape (kinds, edges, C, 5, 5)."""
        small, large = (torch.stack([module.weight for module in row]) for row in self.depthwise)
        margin = (large.shape[-1] - small.shape[-1]) // 2
        return torch.stack([F.pad(small, [margin] * 4), large]).squeeze(3)

    def matrices(self) -> Tensor:
        """Weights of the 1x1 convolutions, shape (kinds, edges, C, C), output before input channel."""
        weights = torch.stack([module.weight for row in self.pointwise for module in row])
        return weights.view(len(self.pointwise), -1, *weights.shape[1:3])


class CellModules:
    """Where in a cell's modules the parameters and running statistics are.

    Args:
        edges: the cell's mixed operations, in the order of darts.EDGES.
    """

    def __init__(self, edges: Sequence[MixedOperation]) -> None:
        edges = [edges[index] for index in BY_SOURCE]
        self.first = Stage(SEPARABLE, edges, start=1)
        self.second = Stage(SEPARABLE, edges, start=5)
        self.dilated = Stage(DILATED, edges, start=1)
        pools = [[cast("nn.Sequential", edge.operations[kind]) for edge in edges] for kind in operations(*POOLS)]
        self.pool_norms = [[cast("nn.BatchNorm2d", block[1]) for block in row] for row in pools]
        (skip,) = operations("skip_connect")
        modules = [edge.operations[skip] for edge in edges]
        #: The skip connections of the edges that halve the resolution; they are the first ones.
        self.reductions = [module for module in modules if isinstance(module, FactorizedReduce)]

    @property
    def stages(self) -> list[Stage]:
        """All of them."""
        return [self.first, self.second, self.dilated]

    def stride(self, source: Source) -> int:
        """Of the edges that leave a node."""
        return 2 if source.edges.start < len(self.reductions) else 1


def reduction_matrix(reductions: Sequence[FactorizedReduce]) -> Tensor:
    """The two 1x1 convolutions of each `FactorizedReduce` as one.

    Returns:
        Shape (modules, C, 2 C): the first C input channels are those of the even pixels, the others of the odd ones.
    """
    even = torch.stack([module.even.weight for module in reductions]).flatten(2)
    odd = torch.stack([module.odd.weight for module in reductions]).flatten(2)
    return torch.cat([F.pad(even, (0, odd.shape[2])), F.pad(odd, (even.shape[2], 0))], dim=1)


def running_statistics(norms: Sequence[Sequence[nn.BatchNorm2d]]) -> tuple[Tensor, Tensor]:
    """Running means and variances, each of shape (rows, norms a row, C)."""
    means = torch.stack([cast("Tensor", norm.running_mean) for row in norms for norm in row])
    variances = torch.stack([cast("Tensor", norm.running_var) for row in norms for norm in row])
    return means.unflatten(0, (len(norms), -1)), variances.unflatten(0, (len(norms), -1))
