"""The DARTS supernet as published: one module an edge and operation, all of them computed and mixed (Eq. 1).

It is the oracle that faster supernets are tested against. Batch norm has no affine parameters and pooling is followed
by batch norm, so that alpha alone decides how strong an operation is.

References:
    RNAS, Section 3, Eq. 1; Liu et al. 2019 (https://arxiv.org/abs/1806.09055), Section 2.2.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from rnas.networks.cells import STEM_MULTIPLIER
from rnas.networks.normalise import Normalise
from rnas.spaces import darts
from rnas.spaces.operations import FactorizedReduce, ReluConvNorm, build_operation

__all__ = ["MixedOperation", "Supernet", "SupernetAt", "SupernetCell"]


class MixedOperation(nn.Module):
    """All candidate operations of one edge, weighted and summed."""

    def __init__(self, channels: int, stride: int) -> None:
        super().__init__()
        self.operations = nn.ModuleList()
        for name in darts.OPERATIONS:
            operation = build_operation(name, channels, stride, affine=False)
            if "pool" in name:
                operation = nn.Sequential(operation, nn.BatchNorm2d(channels, affine=False))
            self.operations.append(operation)

    def forward(self, x: Tensor, weights: Tensor) -> Tensor:
        """Mix the operations of one edge.

        Args:
            x: the source node, shape (N, C, H, W).
            weights: one weight an operation, shape (len(darts.OPERATIONS),).

        Returns:
            Shape (N, C, H / stride, W / stride).
        """
        # Equation 1; the operation `none` adds nothing and is not computed.
        terms = [
            weight * operation(x)
            for name, weight, operation in zip(darts.OPERATIONS, weights, self.operations, strict=True)
            if name != "none"
        ]
        return sum(terms[1:], terms[0])


class SupernetCell(nn.Module):
    """A cell in which every edge is a mixed operation."""

    def __init__(
        self, before_previous: int, previous: int, channels: int, *, reduce: bool, reduced_before: bool
    ) -> None:
        super().__init__()
        adapt = FactorizedReduce if reduced_before else ReluConvNorm
        self.adapt_before_previous = adapt(before_previous, channels, affine=False)
        self.adapt_previous = ReluConvNorm(previous, channels, affine=False)
        self.edges = nn.ModuleList(
            MixedOperation(channels, 2 if reduce and source < darts.INPUTS else 1) for source, _ in darts.EDGES
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
        mixed = iter(zip(self.edges, weights, strict=True))
        for _ in range(darts.NODES):
            outputs = [edge(state, weight) for state, (edge, weight) in zip(states, mixed, strict=False)]
            states.append(sum(outputs[1:], outputs[0]))
        return torch.cat(states[darts.INPUTS :], dim=1)


class Supernet(nn.Module):
    """The proxy network of a search in the DARTS space (Section 3: "constructed by m cells").

    Args:
        num_classes: number of classes.
        channels: channels of a node in the first cells (C).
        cells: number of cells.
        in_channels: channels of the images.
    """

    def __init__(self, num_classes: int, *, channels: int = 16, cells: int = 8, in_channels: int = 3) -> None:
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
                SupernetCell(before_previous, previous, channels, reduce=reduce, reduced_before=reduced_before)
            )
            before_previous, previous, reduced_before = previous, darts.NODES * channels, reduce
        self.classifier = nn.Linear(previous, num_classes)

    @staticmethod
    def initial_alpha(generator: torch.Generator | None = None) -> Tensor:
        """Architecture parameters to start from: logits near zero, so that all operations weigh about the same.

        Returns:
            Shape (len(darts.KINDS), len(darts.EDGES), len(darts.OPERATIONS)), on the CPU, normal with deviation 1e-3.
        """
        shape = (len(darts.KINDS), len(darts.EDGES), len(darts.OPERATIONS))
        return 1e-3 * torch.randn(shape, generator=generator)

    def forward(self, images: Tensor, alpha: Tensor) -> Tensor:
        """Classify images with the operations mixed by alpha.

        Args:
            images: values in [0, 1], shape (N, in_channels, H, W).
            alpha: logits, shape (kinds, edges, operations) as `initial_alpha` gives it.

        Returns:
            Logits, shape (N, num_classes).
        """
        weights = alpha.softmax(dim=-1)
        before_previous = previous = self.stem(self.normalise(images))
        for kind, cell in zip(self.kinds, self.cells, strict=True):
            before_previous, previous = previous, cell(before_previous, previous, weights[kind])
        return self.classifier(previous.mean(dim=(2, 3)))


class SupernetAt(nn.Module):
    """A supernet at one alpha, as an ordinary network: images in, logits out.

    Attacks, objectives and the vulnerability take it like any other model; gradients flow to `alpha` if it asks for
    them. It shares the supernet's weights and modes.

    Args:
        supernet: the supernet.
        alpha: logits, shape (kinds, edges, operations).
    """

    def __init__(self, supernet: Supernet, alpha: Tensor) -> None:
        super().__init__()
        self.supernet = supernet
        self.alpha = alpha

    @property
    def cell_layers(self) -> list[str]:
        """Names of the cells, whose outputs Eq. 5 measures."""
        return [f"supernet.cells.{index}" for index in range(len(self.supernet.cells))]

    def forward(self, images: Tensor) -> Tensor:
        return self.supernet(images, self.alpha)
