"""The supernet that searches use: the same modules as the reference, computed source node by source node.

`FusedSupernet` has the reference's modules, so weights, running statistics and checkpoints are interchangeable; only
the order of the arithmetic differs. What depends on a source node alone is computed once, its convolutions run as
grouped calls (`stacking`), and their gradients are convolutions (`fast_convolutions`).
In evaluation mode batch norm and the mixture's weights are folded into the convolutions (`folding`).
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rnas.supernets.base import MixedOperation
from rnas.supernets.darts.batch_statistics import BatchNorms
from rnas.supernets.darts.fast_convolutions import channels_last, depthwise, pointwise
from rnas.supernets.darts.folding import FoldedCell, fold_adapter, fold_sources
from rnas.supernets.darts.nodes import connect, copies_for_edges, without_convolution
from rnas.supernets.darts.reference import Supernet, SupernetCell
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

__all__ = ["FoldedSupernet", "FusedCell", "FusedSupernet"]


class FusedCell(nn.Module):
    """A `SupernetCell`, computed source node by source node.

    Args:
        cell: whose modules to take over.
    """

    def __init__(self, cell: SupernetCell) -> None:
        super().__init__()
        self.adapt_before_previous = cell.adapt_before_previous
        self.adapt_previous = cell.adapt_previous
        self.edges = cell.edges
        self.parts = CellModules(cast("list[MixedOperation]", list(cell.edges)))

    def forward(self, before_previous: Tensor, previous: Tensor, weights: Tensor) -> Tensor:
        """Compute the cell's output; arguments and result are those of `SupernetCell`."""
        if not self.training:
            return self.folded(weights)(before_previous, previous)
        edges = TrainingPass(self.parts, weights)
        output = connect(
            self.adapt_before_previous(channels_last(before_previous)),
            self.adapt_previous(channels_last(previous)),
            edges.contribution,
        )
        edges.norms.update()
        return output

    def folded(self, weights: Tensor) -> FoldedCell:
        """The cell in evaluation mode at fixed weights of the operations, differentiable in them."""
        return FoldedCell(
            fold_adapter(self.adapt_before_previous),
            fold_adapter(self.adapt_previous),
            fold_sources(self.parts, weights),
        )


class TrainingPass:
    """One pass through a cell with batch statistics.

    Args:
        parts: the cell's modules.
        weights: shape (len(darts.EDGES), len(darts.OPERATIONS)).
    """

    def __init__(self, parts: CellModules, weights: Tensor) -> None:
        self.parts = parts
        self.weights = weights[BY_SOURCE]
        self.norms = BatchNorms()
        self.stacks = {stage: (stage.kernels(), stage.matrices()) for stage in parts.stages}
        self.reduction = reduction_matrix(parts.reductions) if parts.reductions else None

    def contribution(self, index: int, node: Tensor) -> Tensor:
        """The contribution of a source node to the nodes that its edges lead to."""
        source = SOURCES[index]
        stride = self.parts.stride(source)
        weights = self.weights[source.edges]
        channels = node.shape[1]
        active = node.relu()
        copies, sparse, dilation = copies_for_edges(active, stride, source.size)

        hidden = self.block(self.parts.first, source.edges, copies, stride=stride).relu_()
        convolved = [
            self.block(self.parts.second, source.edges, hidden, weights=weights),
            self.block(self.parts.dilated, source.edges, sparse, weights=weights, dilation=dilation),
        ]
        # The channels are ordered by kind of operation, then by edge: an edge's sum adds the halves.
        terms = [half for maps in convolved for half in maps.chunk(2, dim=1)]

        largest, average, *passed = without_convolution(node, active, stride)
        pool_norms = [row[source.edges] for row in self.parts.pool_norms]
        pools = self.norms(torch.cat([largest, average], dim=1), pool_norms)
        scales = [weights[:, operations(name)] for name in POOLS]
        if stride == 1:
            scales.append(weights[:, operations("skip_connect")])
            pools = torch.cat([pools, *passed], dim=1)
        else:
            assert self.reduction is not None
            skipped = pointwise(torch.cat(passed, dim=1), self.reduction[source.edges].flatten(0, 1).unsqueeze(0))
            skip_norms = [[module.norm] for module in self.parts.reductions[source.edges]]
            skip_scale = weights[:, operations("skip_connect")].expand(-1, channels).flatten()
            terms.append(self.norms(skipped, skip_norms, skip_scale))
        identity = torch.eye(channels, dtype=node.dtype, device=node.device)
        mixture = torch.cat([torch.kron(scale, identity) for scale in scales], dim=1).unsqueeze(0)
        total = pointwise(pools, mixture)
        for term in terms:
            total = total + term
        return total

    def block(
        self,
        stage: Stage,
        edges: slice,
        maps: Tensor,
        *,
        weights: Tensor | None = None,
        stride: int = 1,
        dilation: int = 1,
    ) -> Tensor:
        """Depthwise convolution, 1x1 convolution, batch norm; times the operations' weights, where given."""
        kernels, matrices = (stack[:, edges].flatten(0, 1) for stack in self.stacks[stage])
        maps = depthwise(
            maps, kernels.flatten(0, 1).unsqueeze(1), stride=stride, dilation=dilation, smaller=maps.shape[1] // 2
        )
        maps = pointwise(maps, matrices)
        scale = None
        if weights is not None:
            scale = weights[:, stage.operations].t().unsqueeze(-1).expand(-1, -1, matrices.shape[1]).flatten()
        return self.norms(maps, [[norm] for row in stage.norms for norm in row[edges]], scale)


class FusedSupernet(Supernet):
    """`Supernet` computed faster: same arguments, modules, names, initial weights and results, up to rounding."""

    def __init__(self, num_classes: int, *, channels: int = 16, cells: int = 8, in_channels: int = 3) -> None:
        super().__init__(num_classes, channels=channels, cells=cells, in_channels=in_channels)
        self.cells = nn.ModuleList(FusedCell(cell) for cell in self.cells if isinstance(cell, SupernetCell))

    @torch.no_grad()
    def folded(self, weights: Tensor) -> FoldedSupernet:
        """See `CellSupernet.folded`; later changes of the supernet do not reach it."""
        return FoldedSupernet(self, weights)


class FoldedSupernet(nn.Module):
    """See `FusedSupernet.folded`. Its cells are named as the supernet's: `cells.0`, `cells.1`, ..."""

    def __init__(self, supernet: FusedSupernet, weights: Tensor) -> None:
        super().__init__()
        convolution, norm = cast("nn.Conv2d", supernet.stem[0]), cast("nn.BatchNorm2d", supernet.stem[1])
        ((mean,),), ((variance,),) = running_statistics([[norm]])
        scale = norm.weight * (variance + norm.eps).rsqrt()
        self.mean, self.deviation = supernet.normalise.mean.clone(), supernet.normalise.deviation.clone()
        self.stem_weight = convolution.weight * scale.view(-1, 1, 1, 1)
        self.stem_bias = norm.bias - scale * mean
        self.cells = nn.ModuleList(
            cast("FusedCell", cell).folded(weights[kind])
            for kind, cell in zip(supernet.kinds, supernet.cells, strict=True)
        )
        self.classifier_weight, self.classifier_bias = (value.clone() for value in supernet.classifier.parameters())

    @property
    def cell_layers(self) -> list[str]:
        """Names of the cells, as in `rnas.supernets.base.SupernetAt`."""
        return [f"cells.{index}" for index in range(len(self.cells))]

    def forward(self, images: Tensor) -> Tensor:
        """Classify images (N, in_channels, H, W) with values in [0, 1]; logits, shape (N, num_classes)."""
        normalised = (images - self.mean) / self.deviation
        before_previous = previous = F.conv2d(normalised, self.stem_weight, self.stem_bias, padding=1)
        for cell in self.cells:
            before_previous, previous = previous, cell(before_previous, previous)
        return F.linear(previous.mean(dim=(2, 3)), self.classifier_weight, self.classifier_bias)
