"""A cell computed source node by source node: what operations need of a node, and how the nodes follow each other."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from rnas.spaces import darts
from rnas.supernets.darts.fast_convolutions import gradient_channels_last, repeat_channels
from rnas.supernets.darts.stacking import SOURCES

__all__ = ["connect", "copies_for_edges", "half_pixels", "without_convolution"]


def half_pixels(maps: Tensor) -> tuple[Tensor, Tensor]:
    """The pixels that a `FactorizedReduce` reads: every other one from the first, and from the second, both ways."""
    return maps[:, :, ::2, ::2], F.pad(maps, (-1, 1, -1, 1))[:, :, ::2, ::2]


def without_convolution(node: Tensor, active: Tensor, stride: int) -> list[Tensor]:
    """Compute a node's maps for operations without convolution: both poolings, and the pixels that a skip passes on.

    Args:
        node: shape (N, C, H, W).
        active: its ReLU.
        stride: of the edges that leave it.
    """
    pools = [
        F.max_pool2d(node, 3, stride=stride, padding=1),
        F.avg_pool2d(node, 3, stride=stride, padding=1, count_include_pad=False),
    ]
    return [*pools, node] if stride == 1 else [*pools, *half_pixels(active)]


def copies_for_edges(active: Tensor, stride: int, edges: int) -> tuple[Tensor, Tensor, int]:
    """The copies that the depthwise convolutions of a node's edges read, two kinds on each edge.

    Args:
        active: the node's ReLU, shape (N, C, H, W).
        stride: of the edges.
        edges: their number.

    Returns:
        The input of the separable convolutions, (N, 2 * edges * C, H, W), then that of the dilated ones, to be
        convolved with stride 1, and with what dilation.
    """
    copies = repeat_channels(active, 2 * edges)
    if stride == 1:
        return copies, copies, 2
    # With stride 2 and dilation 2, every tap reads pixels of even row and column only.
    return copies, repeat_channels(active[:, :, ::2, ::2], 2 * edges), 1


def connect(first: Tensor, second: Tensor, contribution: Callable[[int, Tensor], Tensor]) -> Tensor:
    """Compute a cell from its adapted inputs, source node by source node.

    Args:
        first: an input node, shape (N, C, H, W).
        second: the other one, same shape.
        contribution: of a source, its index and its value, to the nodes that its edges lead to, shape
            (N, edges * C, H', W'); these are always the last nodes.

    Returns:
        The intermediate nodes concatenated, shape (N, 4 C, H', W').
    """
    channels = first.shape[1]
    rest = gradient_channels_last(contribution(0, first) + contribution(1, second))
    nodes = []
    for source in range(darts.INPUTS, darts.INPUTS + darts.NODES):
        # Not slices: the gradient of a split is a concatenation, which keeps the layout.
        node, rest = rest.split([channels, rest.shape[1] - channels], dim=1)
        nodes.append(node)
        if source < len(SOURCES):
            rest = gradient_channels_last(rest + contribution(source, node))
    return torch.cat(nodes, dim=1)
