"""A supernet in evaluation mode at one alpha: batch norm and the mixture's weights folded into the convolutions.

With running statistics, batch norm is an affine map of each channel, and so is the weight of an operation in Eq. 1.
Both therefore go into the 1x1 convolution before them, those of all operations of an edge become one, and what has no
parameters (pooling, the skip connection, ReLU, the copies of a node for its edges) is computed once a source node.
The result is the same function of the images; nothing is dropped or approximated.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rnas.networks.operations import FactorizedReduce, ReluConvNorm
from rnas.supernets.darts.fast_convolutions import channels_last, depthwise, pointwise
from rnas.supernets.darts.nodes import connect, copies_for_edges, half_pixels, without_convolution
from rnas.supernets.darts.stacking import (
    BY_SOURCE,
    POOLS,
    SOURCES,
    CellModules,
    Stage,
    operations,
    reduction_matrix,
    running_statistics,
)

__all__ = ["FoldedCell", "fold_adapter", "fold_sources"]


def fold_norm(norms: Sequence[Sequence[nn.BatchNorm2d]]) -> tuple[Tensor, Tensor]:
    """Batch norms without affine parameters as channel * scale + shift, each of shape (rows, norms a row, C)."""
    means, variances = running_statistics(norms)
    scale = (variances + norms[0][0].eps).rsqrt()
    return scale, -scale * means


@dataclass(frozen=True)
class FoldedAdapter:
    """A cell's adapter: ReLU, then one 1x1 convolution, or two on alternate pixels.

    Args:
        weights: shapes (1, c_out, c_in); two where the adapter halves the resolution.
        biases: shapes (c_out,).
    """

    weights: list[Tensor]
    biases: list[Tensor]

    def __call__(self, maps: Tensor) -> Tensor:
        active = maps.relu()
        if len(self.weights) == 1:
            return pointwise(active, self.weights[0], self.biases[0])
        halves = zip(half_pixels(active), self.weights, self.biases, strict=True)
        return torch.cat([pointwise(*half) for half in halves], dim=1)


def fold_adapter(module: ReluConvNorm | FactorizedReduce) -> FoldedAdapter:
    """Fold an adapter's batch norm into its convolutions."""
    if isinstance(module, FactorizedReduce):
        convolutions, norm = [module.even, module.odd], module.norm
    else:
        convolutions, norm = [cast("nn.Conv2d", module[1])], cast("nn.BatchNorm2d", module[2])
    scale, shift = (value.view(-1) for value in fold_norm([[norm]]))
    sizes = [len(convolution.weight) for convolution in convolutions]
    weights = [
        (part.view(-1, 1) * convolution.weight.flatten(1)).unsqueeze(0)
        for convolution, part in zip(convolutions, scale.split(sizes), strict=True)
    ]
    return FoldedAdapter(weights, list(shift.split(sizes)))


@dataclass(frozen=True)
class FoldedSource:
    """All edges that leave a node. E edges, C channels, two kinds of kernel a convolution.

    Args:
        stride: of the edges.
        first_kernels, second_kernels, dilated_kernels: of the depthwise convolutions, shape (2 E C, 1, 5, 5).
        first_matrices: between the halves of the separable convolutions, shape (2 E, C, C).
        first_bias: shape (2 E C,).
        second_matrices, dilated_matrices: to the edges' outputs, shape (E, C, 2 C).
        rest_matrix: from `without_convolution` to the edges' outputs, shape (1, E C, 3 C), or 4 C with stride 2.
        bias: shape (E C,).
    """

    stride: int
    first_kernels: Tensor
    first_matrices: Tensor
    first_bias: Tensor
    second_kernels: Tensor
    second_matrices: Tensor
    dilated_kernels: Tensor
    dilated_matrices: Tensor
    rest_matrix: Tensor
    bias: Tensor

    def __call__(self, node: Tensor) -> Tensor:
        active = node.relu()
        copies, sparse, dilation = copies_for_edges(active, self.stride, len(self.second_matrices))
        hidden = depthwise(copies, self.first_kernels, stride=self.stride)
        hidden = pointwise(hidden, self.first_matrices, self.first_bias).relu_()
        separable = pointwise(depthwise(hidden, self.second_kernels), self.second_matrices)
        dilated = pointwise(depthwise(sparse, self.dilated_kernels, dilation=dilation), self.dilated_matrices)
        rest = pointwise(torch.cat(without_convolution(node, active, self.stride), dim=1), self.rest_matrix, self.bias)
        return separable.add_(dilated).add_(rest)


class FoldedCell(nn.Module):
    """A cell at fixed weights. Its tensors are no parameters or buffers: it is made anew when a weight changes.

    Args:
        adapt_before_previous, adapt_previous: the adapters.
        sources: the nodes that edges leave, in order.
    """

    def __init__(
        self, adapt_before_previous: FoldedAdapter, adapt_previous: FoldedAdapter, sources: list[FoldedSource]
    ) -> None:
        super().__init__()
        self.adapt_before_previous = adapt_before_previous
        self.adapt_previous = adapt_previous
        self.sources = sources

    def forward(self, before_previous: Tensor, previous: Tensor) -> Tensor:
        """Compute the cell's output, as `rnas.supernets.darts.reference.SupernetCell` does."""
        return connect(
            self.adapt_before_previous(channels_last(before_previous)),
            self.adapt_previous(channels_last(previous)),
            lambda source, node: self.sources[source](node),
        )


def fold_sources(modules: CellModules, weights: Tensor) -> list[FoldedSource]:
    """Fold the edges of a cell.

    Args:
        modules: the cell's edges; in evaluation mode they would compute what the result computes.
        weights: one an edge and operation, shape (len(darts.EDGES), len(darts.OPERATIONS)).

    Returns:
        The sources in order, differentiable in the weights and the modules' parameters.
    """
    weights = weights[BY_SOURCE]
    first_scale, first_bias = fold_norm(modules.first.norms)
    first = modules.first.matrices() * first_scale.unsqueeze(-1)
    second, second_bias = fold_stage(modules.second, weights)
    dilated, dilated_bias = fold_stage(modules.dilated, weights)
    pool_weights = weights[:, operations(*POOLS)].t().unsqueeze(-1)
    pool_scale, pool_shift = fold_norm(modules.pool_norms)
    pools = torch.diag_embed(pool_weights * pool_scale)
    bias = (second_bias + dilated_bias + pool_weights * pool_shift).sum(dim=0)

    skip_weights = weights[:, operations("skip_connect")]  # (edges, 1)
    reductions = len(modules.reductions)
    skips = torch.diag_embed(skip_weights[reductions:].expand(-1, bias.shape[1]))
    if reductions:
        scale, shift = (value[0] for value in fold_norm([[module.norm for module in modules.reductions]]))
        reduced = (skip_weights[:reductions] * scale).unsqueeze(-1) * reduction_matrix(modules.reductions)
        bias = bias + F.pad(skip_weights[:reductions] * shift, (0, 0, 0, len(bias) - reductions))

    kernels = [stage.kernels() for stage in (modules.first, modules.second, modules.dilated)]
    folded = []
    for source in SOURCES:
        edges = source.edges
        first_kernels, second_kernels, dilated_kernels = (
            kernel[:, edges].transpose(0, 1).reshape(-1, 1, *kernel.shape[-2:]) for kernel in kernels
        )
        stride = modules.stride(source)
        passed = reduced[edges] if stride == 2 else skips[edges.start - reductions : edges.stop - reductions]
        rest_matrix = torch.cat([joined(pools[:, edges]), passed], dim=2)
        folded.append(
            FoldedSource(
                stride=stride,
                first_kernels=first_kernels,
                first_matrices=first[:, edges].transpose(0, 1).flatten(0, 1),
                first_bias=first_bias[:, edges].transpose(0, 1).flatten(),
                second_kernels=second_kernels,
                second_matrices=joined(second[:, edges]),
                dilated_kernels=dilated_kernels,
                dilated_matrices=joined(dilated[:, edges]),
                rest_matrix=rest_matrix.flatten(0, 1).unsqueeze(0),
                bias=bias[edges].flatten(),
            )
        )
    return folded


def fold_stage(stage: Stage, weights: Tensor) -> tuple[Tensor, Tensor]:
    """Fold batch norm and the mixture's weights into a stage's 1x1 convolutions.

    Returns:
        Matrices, shape (kinds, edges, C, C), and biases, shape (kinds, edges, C).
    """
    weight = weights[:, stage.operations].t().unsqueeze(-1)
    scale, shift = fold_norm(stage.norms)
    return stage.matrices() * (weight * scale).unsqueeze(-1), weight * shift


def joined(matrices: Tensor) -> Tensor:
    """Matrices (kinds, edges, C, C) as one an edge, for the kinds' inputs side by side: (edges, C, kinds * C)."""
    return matrices.permute(1, 2, 0, 3).flatten(2)
