"""The supernet of the NAS-Bench-201 space, and the derivation of a cell that is always connected.

One module an edge and operation, all of them computed and mixed (Eq. 1). Batch norm in the cells has no affine
parameters, so that alpha alone decides how strong an operation is; as in the benchmark's own searches, and unlike in
`rnas.supernets.darts.reference`, pooling is not normalised.

As there, too, batch norm in the cells keeps no running statistics: also in evaluation mode it takes those of the batch,
so that attacks, F and logits of an image depend on the images beside it. The stem, the blocks between stages and the
last norm keep theirs.

References:
    RNAS, Section 3, Eq. 1; Dong and Yang 2020 (https://arxiv.org/abs/2001.00326), Section 4, and the authors' searches
    (D-X-Y/AutoDL-Projects, track_running_stats = 0).
"""

from __future__ import annotations

import functools

import torch
from torch import Tensor, nn

from rnas.config import require
from rnas.genotype import Genotype
from rnas.networks.layout import use_channels_last
from rnas.networks.nasbench201 import StagedNetwork, build_edge
from rnas.spaces import nasbench201
from rnas.supernets.base import CellSupernet, MixedOperation, active_operations

__all__ = ["NasBench201Supernet", "derive_connected_genotype", "largest_genotype"]


class SupernetCell(nn.Module):
    """A cell in which every edge is a mixed operation."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.edges = nn.ModuleList(
            MixedOperation({name: build_edge(name, channels, affine=False) for name in nasbench201.OPERATIONS})
            for _ in nasbench201.EDGES
        )

    def forward(self, x: Tensor, weights: Tensor) -> Tensor:
        """Compute the cell's output.

        Args:
            x: output of the previous cell or block, shape (N, C, H, W).
            weights: shape (len(nasbench201.EDGES), len(nasbench201.OPERATIONS)).

        Returns:
            The last node, shape (N, C, H, W).
        """
        states = [x]
        mixed = iter(zip(self.edges, weights, active_operations(weights), strict=True))
        for _ in range(nasbench201.NODES):
            outputs = [edge(state, *of_edge) for state, (edge, *of_edge) in zip(states, mixed, strict=False)]
            states.append(sum(outputs[1:], outputs[0]))
        return states[-1]


class NasBench201Supernet(StagedNetwork, CellSupernet):
    """The proxy network of a search in the NAS-Bench-201 space.

    Args:
        num_classes: number of classes.
        channels: channels of the first stage (C).
        cells: cells of each of the three stages (N).
        in_channels: channels of the images.
    """

    alpha_shape = (len(nasbench201.KINDS), len(nasbench201.EDGES), len(nasbench201.OPERATIONS))

    def __init__(
        self,
        num_classes: int,
        *,
        channels: int = nasbench201.CHANNELS,
        cells: int = nasbench201.CELLS_PER_STAGE,
        in_channels: int = 3,
    ) -> None:
        super().__init__(SupernetCell, num_classes, channels=channels, cells=cells, in_channels=in_channels)
        for module in self.cells.modules():
            if isinstance(module, nn.BatchNorm2d):
                # Other paths, other statistics: running ones fit none of them.
                module.track_running_stats = False
                module.running_mean = module.running_var = module.num_batches_tracked = None
        use_channels_last(self)

    def mix(self, images: Tensor, weights: Tensor) -> Tensor:
        return self.classify(images, weights[0])


@functools.cache
def connected_cells() -> tuple[Tensor, Tensor, Tensor]:
    """All connected cells.

    Returns:
        Their operations as indices, shape (cells, edges); parameters without the edges on no path, shape (cells,); and
        whether there are no such edges, shape (cells,).
    """
    cells = [cell for cell in nasbench201.all_cells() if nasbench201.is_connected(cell)]
    pruned = [nasbench201.without_dead_edges(cell) for cell in cells]
    return (
        torch.tensor([[nasbench201.OPERATIONS.index(name) for name in cell] for cell in cells]),
        torch.tensor([nasbench201.count_parameters(cell) for cell in pruned]),
        torch.tensor([cell == itself for cell, itself in zip(pruned, cells, strict=True)]),
    )


def derive_connected_genotype(alpha: Tensor, at_most: int | None = None) -> Genotype:
    """Derive the most likely connected cell: that of the greatest sum of log softmax weights. Edges may get `none`.

    Args:
        alpha: logits, shape (1, len(nasbench201.EDGES), len(nasbench201.OPERATIONS)).
        at_most: parameters that its network may have in the benchmark's form; None for any number.

    Returns:
        A genotype with the cell "cell", never a disconnected one; edges on no path get `none`.

    Raises:
        ConfigError: if no cell is so small.
    """
    sums = sum_over_edges(alpha.detach()[0].double().cpu().log_softmax(dim=-1))
    return greatest(sums, at_most)


def largest_genotype(at_most: int | None, generator: torch.Generator) -> Genotype:
    """A connected cell with the most parameters, of those with at most so many; raises as `derive_connected_genotype`.

    Args:
        at_most: see `derive_connected_genotype`.
        generator: on the CPU; decides between equal ones.
    """
    _, sizes, whole = connected_cells()
    # Cells with edges on no path compute the same as whole ones: each network is drawn once.
    ties = torch.rand(sizes.shape, generator=generator).double()
    return greatest((sizes + ties / 2).masked_fill(~whole, -torch.inf), at_most)


def sum_over_edges(weights: Tensor) -> Tensor:
    """For each connected cell the sum of its operations' weights, shape (edges, operations) to (cells,)."""
    return weights.t().gather(0, connected_cells()[0]).sum(dim=1)


def greatest(scores: Tensor, at_most: int | None) -> Genotype:
    """The connected cell with the greatest score, shape (cells,), within the limit, without its edges on no path."""
    cells, sizes, _ = connected_cells()
    if at_most is not None:
        least = int(sizes.min())
        require(at_most >= least, "size_limit", f"at least {least:,} parameters", at_most)
        scores = scores.masked_fill(sizes > at_most, -torch.inf)
    best = [nasbench201.OPERATIONS[index] for index in cells[int(scores.argmax())].tolist()]
    return nasbench201.genotype_of(nasbench201.without_dead_edges(best))
