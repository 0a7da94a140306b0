"""Batch norm by the statistics of a whole batch whose rows are spread over processes, on any device.

`torch.nn.SyncBatchNorm` does the same on accelerators only. Each process sends the mean and the variance of its rows;
these are combined as in Chan et al. 1983, "Algorithms for Computing the Sample Variance", so that nothing cancels:

    mean = sum_r share_r mean_r,  variance = sum_r share_r (variance_r + (mean_r - mean)^2)
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rnas.errors import ModelError
from rnas.parallel.parts import OwnPart, present
from rnas.parallel.processes import reduced, size

__all__ = ["SynchronisedBatchNorm2d", "batch_norm", "synchronise"]


class Sum(torch.autograd.Function):
    """The sum of a tensor over all processes. Backward, the sum of the gradients that all processes have in it.

    Differentiable as often as one likes, for its derivative is itself.
    """

    @staticmethod
    def forward(ctx: Any, tensor: Tensor) -> Tensor:  # noqa: ARG004 - the signature of autograd
        return reduced(tensor.clone(memory_format=torch.contiguous_format))

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:  # noqa: ARG004
        return Sum.apply(gradient)  # type: ignore[no-untyped-call]


def batch_norm(
    maps: Tensor,
    running_mean: Tensor | None,
    running_variance: Tensor | None,
    weight: Tensor | None,
    bias: Tensor | None,
    momentum: float,
    eps: float,
) -> Tensor:
    """`torch.nn.functional.batch_norm` in training, over the rows of all processes; arguments are as there.

    Args:
        maps: shape (N, C, H, W), the own rows.
        running_mean: shape (C,), moved towards that of the batch; or None.
        running_variance: likewise.
        weight: shape (C,), or None.
        bias: shape (C,), or None.
        momentum: how far running statistics move, in [0, 1].
        eps: added to the variance, > 0.

    Returns:
        Shape (N, C, H, W), differentiable in maps, weight and bias.

    Raises:
        ValueError: if there is one value a channel only.
    """
    part = present()
    if part is None:
        return F.batch_norm(maps, running_mean, running_variance, weight, bias, True, momentum, eps)
    mean, variance = statistics(maps, part)
    if running_mean is not None and running_variance is not None:
        count = part.total * maps[0, 0].numel()
        if count < 2:
            raise ValueError("expected more than one value a channel for batch norm in training")
        with torch.no_grad():
            running_mean.lerp_(mean.to(running_mean.dtype), momentum)
            running_variance.lerp_((variance * (count / (count - 1))).to(running_variance.dtype), momentum)
    scale = (variance + eps).rsqrt()
    scale = scale if weight is None else scale * weight
    shift = -mean * scale if bias is None else bias - mean * scale
    return (maps * scale.view(1, -1, 1, 1) + shift.view(1, -1, 1, 1)).to(maps.dtype)


def statistics(maps: Tensor, part: OwnPart) -> tuple[Tensor, Tensor]:
    """Means and biased variances of the channels over the rows of all processes, each of shape (C,)."""
    wide = maps.float() if maps.dtype in (torch.bfloat16, torch.float16) else maps
    variance, mean = torch.var_mean(wide, dim=(0, 2, 3), correction=0)
    # Each process fills its place among zeros: sums with zeros are exact, so all processes get the same bits.
    place = torch.zeros(part.size, 1, 1, dtype=mean.dtype, device=mean.device)
    place[part.rank] = 1
    means, variances = Sum.apply(place * torch.stack([mean, variance])).unbind(1)  # type: ignore[no-untyped-call]
    shares = torch.tensor(part.shares, dtype=mean.dtype, device=mean.device).unsqueeze(1)
    mean = (shares * means).sum(dim=0)
    return mean, (shares * (variances + (means - mean).square())).sum(dim=0)


class SynchronisedBatchNorm2d(nn.BatchNorm2d):
    """`nn.BatchNorm2d` that normalises by the batches of all processes together, where it normalises by the batch."""

    def forward(self, maps: Tensor) -> Tensor:
        tracking = self.training and self.track_running_stats
        if not self.training and self.running_mean is not None:
            return super().forward(maps)
        momentum = self.momentum
        if tracking and self.num_batches_tracked is not None:
            self.num_batches_tracked.add_(1)
            momentum = 1 / float(self.num_batches_tracked) if momentum is None else momentum
        statistics = (self.running_mean, self.running_var) if tracking else (None, None)
        return batch_norm(maps, *statistics, self.weight, self.bias, momentum or 0.0, self.eps)


def synchronise(network: nn.Module) -> None:
    """Make the batch norms of a network synchronised ones, in place; references to them and their tensors stay valid.

    Raises:
        ModelError: if there is a batch norm of another class than `nn.BatchNorm2d`, which would see its own rows only.
    """
    if size() == 1:
        return
    for name, module in network.named_modules():
        if type(module) is nn.BatchNorm2d:
            module.__class__ = SynchronisedBatchNorm2d
        elif isinstance(module, nn.modules.batchnorm._BatchNorm) and type(module) is not SynchronisedBatchNorm2d:
            raise ModelError(
                f"{name}: expected nn.BatchNorm2d, the batch norm that several processes can share, "
                f"got {type(module).__name__}; train in one process"
            )
