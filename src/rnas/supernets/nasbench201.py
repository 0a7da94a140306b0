"""The supernet of the NAS-Bench-201 space, and the derivation of a cell that is always connected.

One module an edge and operation, all of them computed and mixed (Eq. 1). Batch norm in the cells has no affine
parameters, so that alpha alone decides how strong an operation is; as in the benchmark's own searches, and unlike in
`rnas.supernets.reference`, pooling is not normalised.

References:
    RNAS, Section 3, Eq. 1; Dong and Yang 2020 (https://arxiv.org/abs/2001.00326), Section 4.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from rnas.genotype import Genotype
from rnas.networks.nasbench201 import StagedNetwork, build_edge
from rnas.spaces import nasbench201

__all__ = ["NasBench201Supernet", "derive_connected_genotype"]

ALPHA_SHAPE = (len(nasbench201.KINDS), len(nasbench201.EDGES), len(nasbench201.OPERATIONS))


class MixedOperation(nn.Module):
    """All candidate operations of one edge, weighted and summed, (N, C, H, W) to (N, C, H, W)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.operations = nn.ModuleList(build_edge(name, channels, affine=False) for name in nasbench201.OPERATIONS)

    def forward(self, x: Tensor, weights: Tensor) -> Tensor:
        # Equation 1; the operation `none` adds nothing and is not computed.
        terms = [
            weight * operation(x)
            for name, weight, operation in zip(nasbench201.OPERATIONS, weights, self.operations, strict=True)
            if name != "none"
        ]
        return sum(terms[1:], terms[0])


class SupernetCell(nn.Module):
    """A cell in which every edge is a mixed operation."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.edges = nn.ModuleList(MixedOperation(channels) for _ in nasbench201.EDGES)

    def forward(self, x: Tensor, weights: Tensor) -> Tensor:
        """Compute the cell's output.

        Args:
            x: output of the previous cell or block, shape (N, C, H, W).
            weights: shape (len(nasbench201.EDGES), len(nasbench201.OPERATIONS)).

        Returns:
            The last node, shape (N, C, H, W).
        """
        states = [x]
        mixed = iter(zip(self.edges, weights, strict=True))
        for _ in range(nasbench201.NODES):
            outputs = [edge(state, weight) for state, (edge, weight) in zip(states, mixed, strict=False)]
            states.append(sum(outputs[1:], outputs[0]))
        return states[-1]


class NasBench201Supernet(StagedNetwork):
    """The proxy network of a search in the NAS-Bench-201 space.

    Args:
        num_classes: number of classes.
        channels: channels of the first stage (C).
        cells: cells of each of the three stages (N).
        in_channels: channels of the images.
    """

    def __init__(
        self,
        num_classes: int,
        *,
        channels: int = nasbench201.CHANNELS,
        cells: int = nasbench201.CELLS_PER_STAGE,
        in_channels: int = 3,
    ) -> None:
        super().__init__(SupernetCell, num_classes, channels=channels, cells=cells, in_channels=in_channels)

    @staticmethod
    def initial_alpha(generator: torch.Generator | None = None) -> Tensor:
        """Architecture parameters to start from: logits near zero, so that all operations weigh about the same.

        Returns:
            Shape (1, len(nasbench201.EDGES), len(nasbench201.OPERATIONS)), on the CPU, normal with deviation 1e-3.
        """
        return 1e-3 * torch.randn(ALPHA_SHAPE, generator=generator)

    def forward(self, images: Tensor, alpha: Tensor) -> Tensor:
        """Classify images with the operations mixed by alpha.

        Args:
            images: values in [0, 1], shape (N, in_channels, H, W).
            alpha: logits, shape (kinds, edges, operations) as `initial_alpha` gives it.

        Returns:
            Logits, shape (N, num_classes).
        """
        return self.classify(images, alpha.softmax(dim=-1)[0])


def derive_connected_genotype(alpha: Tensor) -> Genotype:
    """Derive the most likely connected cell: that of the greatest sum of log softmax weights.

    Edges may get `none`. A cell is connected if no edge of some path carries `none`, and the edges are independent, so
    the answer is the strongest operation of each edge, with the strongest other than `none` on that path which loses
    the least by it.

    Args:
        alpha: logits, shape (1, len(nasbench201.EDGES), len(nasbench201.OPERATIONS)).

    Returns:
        A genotype with the cell "cell", never a disconnected one.
    """
    logits = alpha.detach()[0].double().cpu()
    none = nasbench201.OPERATIONS.index("none")
    strongest, choice = logits.max(dim=-1)
    passing = logits.clone()
    passing[:, none] = -torch.inf
    strongest_passing, passing_choice = passing.max(dim=-1)
    losses = (strongest - strongest_passing).tolist()
    path = min(nasbench201.PATHS, key=lambda edges: sum(losses[edge] for edge in edges))
    operations = [
        nasbench201.OPERATIONS[int((passing_choice if edge in path else choice)[edge])]
        for edge in range(len(nasbench201.EDGES))
    ]
    return nasbench201.genotype_of(operations)
