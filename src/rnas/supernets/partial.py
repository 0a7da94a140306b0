"""Partial channels: the operations of an edge are computed on some of its channels, and the others pass them by.

References:
    Xu et al. 2020, "PC-DARTS: Partial Channel Connections for Memory-Efficient Architecture Search"
    (https://arxiv.org/abs/1907.05737), Section 3.2, Eq. 2.

Deviations:
    The paper samples the channels; as in the published code (yuhuixu1993/PC-DARTS), they are the first ones here, and a
    shuffle afterwards brings others there on the next edge. On an edge of stride 2 the others are max-pooled, as there.
    At least two are computed, which a skip connection of stride 2 needs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rnas.supernets.base import MixedOperation

__all__ = ["PartialOperation", "mixed_or_partial"]


class PartialOperation(nn.Module):
    """A mixed operation of some channels; arguments and result of `forward` are those of `MixedOperation`.

    Args:
        build: makes the mixed operation of so many channels.
        channels: of the edge (C).
        one_in: K; one in so many channels is computed.
    """

    def __init__(self, build: Callable[[int], MixedOperation], channels: int, one_in: int) -> None:
        super().__init__()
        self.computed = min(channels, max(2, channels // one_in))
        self.groups = next(groups for groups in range(one_in, 0, -1) if channels % groups == 0)
        self.mixture = build(self.computed)

    def forward(self, x: Tensor, weights: Tensor, active: Sequence[bool]) -> Tensor:
        computed, passed = x.split([self.computed, x.shape[1] - self.computed], dim=1)
        mixed = self.mixture(computed, weights, active)
        if mixed.shape[2:] != passed.shape[2:]:
            passed = F.max_pool2d(passed, 2, ceil_mode=True)
        # What passes by weighs as much as all operations together: the weight of the edge.
        joined = torch.cat([mixed, weights.sum() * passed], dim=1)
        return joined.unflatten(1, (self.groups, -1)).transpose(1, 2).flatten(1, 2)


def mixed_or_partial(build: Callable[[int], MixedOperation], channels: int, one_in: int) -> nn.Module:
    """The mixed operation of an edge: of all channels where `one_in` is 1."""
    return build(channels) if one_in == 1 else PartialOperation(build, channels, one_in)
