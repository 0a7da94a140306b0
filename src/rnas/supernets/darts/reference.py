"""The DARTS supernet as published: one module an edge and operation, all of them computed and mixed (Eq. 1).

It is the oracle that faster supernets are tested against. Batch norm has no affine parameters and pooling is followed
by batch norm, so that alpha alone decides how strong an operation is.

References:
    RNAS, Section 3, Eq. 1; Liu et al. 2019 (https://arxiv.org/abs/1806.09055), Section 2.2.
"""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor, nn

from rnas.networks.cells import STEM_MULTIPLIER
from rnas.networks.normalise import Normalise
from rnas.networks.operations import FactorizedReduce, ReluConvNorm, build_operation
from rnas.spaces import darts
from rnas.supernets.base import CellSupernet, MixedOperation, active_operations
from rnas.supernets.partial import mixed_or_partial

__all__ = ["Supernet", "SupernetCell"]


def mixed_operation(channels: int, stride: int) -> MixedOperation:
    """All operations of the space on one edge, (N, C, H, W) to (N, C, H / stride, W / stride)."""
    operations = {name: build_operation(name, channels, stride, affine=False) for name in darts.OPERATIONS}
    return MixedOperation(
        {
            name: nn.Sequential(operation, nn.BatchNorm2d(channels, affine=False)) if "pool" in name else operation
            for name, operation in operations.items()
        }
    )


class SupernetCell(nn.Module):
    """A cell in which every edge is a mixed operation."""

    def __init__(
        self, before_previous: int, previous: int, channels: int, *, reduce: bool, reduced_before: bool, one_in: int = 1
    ) -> None:
        super().__init__()
        adapt = FactorizedReduce if reduced_before else ReluConvNorm
        self.adapt_before_previous = adapt(before_previous, channels, affine=False)
        self.adapt_previous = ReluConvNorm(previous, channels, affine=False)
        strides = [2 if reduce and source < darts.INPUTS else 1 for source, _ in darts.EDGES]
        self.edges = nn.ModuleList(
            mixed_or_partial(partial(mixed_operation, stride=stride), channels, one_in) for stride in strides
        )

    def forward(self, before_previous: Tensor, previous: Tensor, weights: Tensor) -> Tensor:
        """Compute the cell's output.

        Args:
            before_previous: output of the cell before the previous one, shape (N, C', H', W').
            previous: output of the previous cell, shape (N, C'', H, W).
            weights: shape (len(darts.EDGES), len(darts.OPERATIONS)).

        Returns:
            The four intermediate nodes concatenated, shape (N, 4 C, H / stride, W / stride).
        """
        states = [self.adapt_before_previous(before_previous), self.adapt_previous(previous)]
        mixed = iter(zip(self.edges, weights, active_operations(weights), strict=True))
        for _ in range(darts.NODES):
            outputs = [edge(state, *of_edge) for state, (edge, *of_edge) in zip(states, mixed, strict=False)]
            states.append(sum(outputs[1:], outputs[0]))
        return torch.cat(states[darts.INPUTS :], dim=1)


class Supernet(CellSupernet):
    """The proxy network of a search in the DARTS space (Section 3: "constructed by m cells").

    Args:
        num_classes: number of classes.
        channels: channels of a node in the first cells (C).
        cells: number of cells.
        in_channels: channels of the images.
        one_in: the operations are computed on one in so many channels (`rnas.supernets.partial`).
    """

    alpha_shape = (len(darts.KINDS), len(darts.EDGES), len(darts.OPERATIONS))

    def __init__(
        self, num_classes: int, *, channels: int = 16, cells: int = 8, in_channels: int = 3, one_in: int = 1
    ) -> None:
        super().__init__()
        self.normalise = Normalise(in_channels)
        features = STEM_MULTIPLIER * channels
        self.stem = nn.Sequential(nn.Conv2d(in_channels, features, 3, padding=1, bias=False), nn.BatchNorm2d(features))
        self.kinds = [darts.KINDS.index(darts.kind_of_cell(index, cells)) for index in range(cells)]
        self.cells = nn.ModuleList()
        before_previous = previous = features
        reduced_before = False
        for kind in self.kinds:
            reduce = darts.KINDS[kind] == "reduce"
            channels = 2 * channels if reduce else channels
            self.cells.append(
                SupernetCell(
                    before_previous, previous, channels, reduce=reduce, reduced_before=reduced_before, one_in=one_in
                )
            )
            before_previous, previous, reduced_before = previous, darts.NODES * channels, reduce
        self.classifier = nn.Linear(previous, num_classes)

    def mix(self, images: Tensor, weights: Tensor) -> Tensor:
        before_previous = previous = self.stem(self.normalise(images))
        for kind, cell in zip(self.kinds, self.cells, strict=True):
            before_previous, previous = previous, cell(before_previous, previous, weights[kind])
        return self.classifier(previous.mean(dim=(2, 3)))
