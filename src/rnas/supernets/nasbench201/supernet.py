"""The supernet of the NAS-Bench-201 space.

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

from torch import Tensor, nn

from rnas.networks.layout import use_channels_last
from rnas.networks.nasbench201 import StagedNetwork, build_edge
from rnas.spaces import nasbench201
from rnas.supernets.base import CellSupernet, MixedOperation, active_operations
from rnas.supernets.partial import mixed_or_partial

__all__ = ["NasBench201Supernet"]


def mixed_operation(channels: int) -> MixedOperation:
    """All operations of the space on one edge, (N, C, H, W) to (N, C, H, W)."""
    return MixedOperation({name: build_edge(name, channels, affine=False) for name in nasbench201.OPERATIONS})


class SupernetCell(nn.Module):
    """A cell in which every edge is a mixed operation."""

    def __init__(self, channels: int, one_in: int = 1) -> None:
        super().__init__()
        self.edges = nn.ModuleList(mixed_or_partial(mixed_operation, channels, one_in) for _ in nasbench201.EDGES)

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
        one_in: the operations are computed on one in so many channels (`rnas.supernets.partial`).
    """

    alpha_shape = (len(nasbench201.KINDS), len(nasbench201.EDGES), len(nasbench201.OPERATIONS))

    def __init__(
        self,
        num_classes: int,
        *,
        channels: int = nasbench201.CHANNELS,
        cells: int = nasbench201.CELLS_PER_STAGE,
        in_channels: int = 3,
        one_in: int = 1,
    ) -> None:
        super().__init__(
            lambda width: SupernetCell(width, one_in),
            num_classes,
            channels=channels,
            cells=cells,
            in_channels=in_channels,
        )
        for module in self.cells.modules():
            if isinstance(module, nn.BatchNorm2d):
                # Other paths, other statistics: running ones fit none of them.
                module.track_running_stats = False
                module.running_mean = module.running_var = module.num_batches_tracked = None
        use_channels_last(self)

    def mix(self, images: Tensor, weights: Tensor) -> Tensor:
        return self.classify(images, weights[0])
