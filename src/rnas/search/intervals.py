"""Interval bound propagation: what a network's values can be on a box of images, and how large a box it withstands.

An `Interval` passes through a network in place of images; its operations are those that our supernets are made of. It
holds how far values can fall and rise, and not the ends, so that boxes far smaller than the precision of the values
have bounds: these widen in every layer, in a deep network by many orders of magnitude. Batch norms that take the
statistics of the batch take those of the images themselves, as if they were constants.

References:
    Gowal et al. 2018, "On the Effectiveness of Interval Bound Propagation" (https://arxiv.org/abs/1810.12715).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

__all__ = ["STEPS", "Interval", "certified_radius", "least_margins"]

#: Bisections for a radius, which is found to some percent.
STEPS = 10
#: An image that is not certified within this radius has none.
SMALLEST = 1e-30


@dataclass(frozen=True, eq=False)
class Interval:
    """A tensor, and how far it can go where the images move.

    Args:
        value: of the images themselves.
        fall: how far below, >= 0, of its shape.
        rise: how far above, >= 0, of its shape.
    """

    value: Tensor
    fall: Tensor
    rise: Tensor

    @classmethod
    def __torch_function__(
        cls, function: Callable[..., Any], types: Any, args: Sequence[Any] = (), named: Mapping[str, Any] | None = None
    ) -> Any:
        if function not in RULES:
            return NotImplemented
        return RULES[function](function, *args, **(named or {}))

    @property
    def shape(self) -> torch.Size:
        return self.value.shape

    @property
    def dtype(self) -> torch.dtype:
        return self.value.dtype

    def dim(self) -> int:
        return self.value.dim()

    def to(self, dtype: torch.dtype) -> Interval:
        return each(torch.Tensor.to, self, dtype)

    def mean(self, dim: Sequence[int]) -> Interval:
        return each(torch.mean, self, dim)

    def __getitem__(self, index: Any) -> Interval:
        return each(torch.Tensor.__getitem__, self, index)

    def __add__(self, other: Interval | Tensor | float) -> Interval:
        if isinstance(other, Interval):
            return each(torch.add, self, other)
        return Interval(self.value + other, self.fall, self.rise)

    def __sub__(self, other: Tensor | float) -> Interval:
        return Interval(self.value - other, self.fall, self.rise)

    def __mul__(self, other: Tensor) -> Interval:
        up, down = other.relu(), (-other).relu()
        return Interval(self.value * other, self.fall * up + self.rise * down, self.rise * up + self.fall * down)

    def __truediv__(self, other: Tensor) -> Interval:
        return self * (1 / other)

    __radd__, __rmul__ = __add__, __mul__


def each(function: Callable[..., Any], *args: Any, **named: Any) -> Interval:
    """What is linear with factors >= 0 does to falls and rises what it does to values; maxima do no more."""

    def part(argument: Any, name: str) -> Any:
        if isinstance(argument, list):
            return [part(one, name) for one in argument]
        return getattr(argument, name) if isinstance(argument, Interval) else argument

    return Interval(
        *(function(*(part(argument, name) for argument in args), **named) for name in ("value", "fall", "rise"))
    )


def linear(
    function: Callable[..., Tensor], maps: Interval, weight: Tensor, bias: Tensor | None = None, *rest: Any
) -> Interval:
    """A convolution, or a matrix: where a weight is negative, what falls makes rise."""
    up, down = weight.relu(), (-weight).relu()
    fall = function(maps.fall, up, None, *rest) + function(maps.rise, down, None, *rest)
    rise = function(maps.rise, up, None, *rest) + function(maps.fall, down, None, *rest)
    return Interval(function(maps.value, weight, bias, *rest), fall, rise)


def relu(_: Callable[..., Any], maps: Interval, inplace: bool = False) -> Interval:  # noqa: ARG001
    """Below 0 nothing falls, and only what gets above rises."""
    value = maps.value.relu()
    rise = torch.where(maps.value > 0, maps.rise, (maps.value + maps.rise).relu())
    return Interval(value, torch.minimum(maps.fall, value), rise)


def batch_norm(
    _: Callable[..., Any],
    maps: Interval,
    running_mean: Tensor | None,
    running_variance: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,  # noqa: ARG001 - running statistics stay as they are
    eps: float = 1e-5,
) -> Interval:
    """A scale and a shift; those of the batch's own values where there are no running statistics."""
    variance, mean = running_variance, running_mean
    if training or variance is None or mean is None:
        variance, mean = torch.var_mean(maps.value, dim=(0, 2, 3), correction=0)
    scale = (variance + eps).rsqrt() * (1 if weight is None else weight)
    shift = (0 if bias is None else bias) - mean * scale
    return maps * scale.view(1, -1, 1, 1) + shift.view(1, -1, 1, 1)


#: What a network may do with an interval, and what then becomes of its bounds.
RULES: dict[Any, Callable[..., Any]] = {
    **dict.fromkeys((torch.conv2d, F.linear), linear),
    **dict.fromkeys((F.max_pool2d, F.avg_pool2d, F.pad, torch.cat, torch.zeros_like), each),
    F.relu: relu,
    F.batch_norm: batch_norm,
    torch.Tensor.add: lambda _, constant, maps: maps + constant,
    torch.Tensor.mul: lambda _, constant, maps: maps * constant,
    torch.Tensor.expand_as: lambda _, constant, maps: constant.expand(maps.shape),
    torch.var_mean: lambda function, maps, **named: function(maps.value, **named),
}


def least_margins(network: Callable[..., Any], images: Tensor, labels: Tensor, eps: Tensor) -> Tensor:
    """Lower bounds on the label's logit minus the largest other one, for all images within eps and in [0, 1].

    Args:
        network: made of the operations of `RULES`, in evaluation mode.
        images: shape (N, C, H, W).
        labels: shape (N,).
        eps: one radius an image, in the maximum norm, shape (N,).

    Returns:
        Shape (N,), differentiable in the network and in eps.
    """
    radius = eps.view(-1, 1, 1, 1)
    logits: Interval = network(Interval(images, images.minimum(radius), (1 - images).minimum(radius)))
    chosen = F.one_hot(labels, logits.shape[1]).bool()
    gaps = logits.value[chosen].unsqueeze(1) - logits.value - logits.rise
    return gaps.masked_fill(chosen, torch.inf).amin(dim=1) - logits.fall[chosen]


def certified_radius(
    network: Callable[..., Any], images: Tensor, labels: Tensor, largest: float
) -> tuple[Tensor, Tensor]:
    """The largest eps within which an image certainly keeps its label, by bisection of `least_margins`.

    Args:
        network: see `least_margins`.
        images: shape (N, C, H, W).
        labels: shape (N,).
        largest: where the bisection begins.

    Returns:
        Radii, shape (N,), differentiable in the network by the implicit function theorem; and which images have one.
    """
    low = torch.full(labels.shape, math.log(SMALLEST), dtype=images.dtype, device=images.device)
    high = torch.full_like(low, math.log(largest))
    with torch.no_grad():
        for _ in range(STEPS):
            middle = (low + high) / 2
            holds = least_margins(network, images, labels, middle.exp()) > 0
            low, high = torch.where(holds, middle, low), torch.where(holds, high, middle)
    radius = low.exp().requires_grad_()
    margins = least_margins(network, images, labels, radius)
    (slope,) = torch.autograd.grad(margins.sum(), radius, retain_graph=True)
    # The radius follows the network so that the margin stays at 0.
    moved = radius.detach() - (margins - margins.detach()) / slope.clamp(max=-torch.finfo(slope.dtype).tiny)
    return moved, margins.detach() > 0
