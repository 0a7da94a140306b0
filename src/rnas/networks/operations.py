"""The candidate operations of cell spaces as modules, in the form that DARTS gave them.

Every operation maps (N, C, H, W) to (N, C, ceil(H / stride), ceil(W / stride)).

References:
    Liu et al. 2019, "DARTS: Differentiable Architecture Search" (https://arxiv.org/abs/1806.09055), Section 3.1.
    Zoph et al. 2018, "Learning Transferable Architectures" (https://arxiv.org/abs/1707.07012), for the larger kernels.

Deviations:
    `FactorizedReduce` pads its shifted path, so that odd sizes work; on even sizes it computes what the original does.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rnas.registry import Registry

__all__ = ["OPERATIONS", "FactorizedReduce", "ReluConvNorm", "build_operation", "subsample"]

OperationBuilder = Callable[[int, int, bool], nn.Module]

#: name -> builder(channels, stride, affine)
OPERATIONS: Registry[OperationBuilder] = Registry("operation")


def build_operation(name: str, channels: int, stride: int, *, affine: bool) -> nn.Module:
    """Build a candidate operation.

    Args:
        name: its name in genotypes, for example ``"sep_conv_3x3"``.
        channels: number of channels, in and out.
        stride: 1, or 2 on an edge that halves the resolution.
        affine: whether batch norm learns scale and shift: True in a network to be trained, False in a supernet.

    Raises:
        UnknownNameError: if there is no such operation; the message lists them.
    """
    return OPERATIONS[name](channels, stride, affine)


def subsample(maps: Tensor, stride: int) -> Tensor:
    """Take every `stride`-th pixel of each row and column; before a 1x1 convolution it does what a stride in it does.

    Such a stride is unsafe: see `rnas.networks.layout`.

    Args:
        maps: shape (N, C, H, W).
        stride: at least 1.

    Returns:
        A view, shape (N, C, ceil(H / stride), ceil(W / stride)).
    """
    return maps[:, :, ::stride, ::stride]


class ReluConvNorm(nn.Sequential):
    """ReLU, 1x1 convolution, batch norm: adapts a cell's input to its number of channels."""

    def __init__(self, in_channels: int, out_channels: int, *, affine: bool) -> None:
        super().__init__(
            nn.ReLU(),
            nn.Conv2d(in_channels, out_channels, 1, bias=False),
            nn.BatchNorm2d(out_channels, affine=affine),
        )


class FactorizedReduce(nn.Module):
    """Halve the resolution: a 1x1 convolution of the even pixels beside one of the odd pixels."""

    def __init__(self, in_channels: int, out_channels: int, *, affine: bool) -> None:
        super().__init__()
        self.even = nn.Conv2d(in_channels, out_channels // 2, 1, bias=False)
        self.odd = nn.Conv2d(in_channels, out_channels - out_channels // 2, 1, bias=False)
        self.norm = nn.BatchNorm2d(out_channels, affine=affine)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(x)
        shifted = F.pad(x, (-1, 1, -1, 1))
        return self.norm(torch.cat([self.even(subsample(x, 2)), self.odd(subsample(shifted, 2))], dim=1))


class Zero(nn.Module):
    """The operation `none`: no information passes."""

    def __init__(self, stride: int) -> None:
        super().__init__()
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        return torch.zeros_like(subsample(x, self.stride))


def separable(channels: int, kernel: int, stride: int, *, dilation: int = 1, affine: bool) -> list[nn.Module]:
    """ReLU, depthwise convolution, 1x1 convolution, batch norm."""
    padding = dilation * (kernel - 1) // 2
    return [
        nn.ReLU(),
        nn.Conv2d(
            channels, channels, kernel, stride=stride, padding=padding, dilation=dilation, groups=channels, bias=False
        ),
        nn.Conv2d(channels, channels, 1, bias=False),
        nn.BatchNorm2d(channels, affine=affine),
    ]


def register_separable(kernel: int) -> None:
    @OPERATIONS.register(f"sep_conv_{kernel}x{kernel}")
    def build(channels: int, stride: int, affine: bool) -> nn.Module:
        first = separable(channels, kernel, stride, affine=affine)
        return nn.Sequential(*first, *separable(channels, kernel, 1, affine=affine))


def register_dilated(kernel: int) -> None:
    @OPERATIONS.register(f"dil_conv_{kernel}x{kernel}")
    def build(channels: int, stride: int, affine: bool) -> nn.Module:
        return nn.Sequential(*separable(channels, kernel, stride, dilation=2, affine=affine))


for size in (3, 5, 7):
    register_separable(size)
for size in (3, 5):
    register_dilated(size)


@OPERATIONS.register("none")
def none(channels: int, stride: int, affine: bool) -> nn.Module:  # noqa: ARG001 - one signature for all
    return Zero(stride)


@OPERATIONS.register("skip_connect")
def skip_connect(channels: int, stride: int, affine: bool) -> nn.Module:
    return nn.Identity() if stride == 1 else FactorizedReduce(channels, channels, affine=affine)


@OPERATIONS.register("max_pool_3x3")
def max_pool_3x3(channels: int, stride: int, affine: bool) -> nn.Module:  # noqa: ARG001
    return nn.MaxPool2d(3, stride=stride, padding=1)


@OPERATIONS.register("avg_pool_3x3")
def avg_pool_3x3(channels: int, stride: int, affine: bool) -> nn.Module:  # noqa: ARG001
    return nn.AvgPool2d(3, stride=stride, padding=1, count_include_pad=False)


@OPERATIONS.register("conv_7x1_1x7")
def conv_7x1_1x7(channels: int, stride: int, affine: bool) -> nn.Module:
    return nn.Sequential(
        nn.ReLU(),
        nn.Conv2d(channels, channels, (1, 7), stride=(1, stride), padding=(0, 3), bias=False),
        nn.Conv2d(channels, channels, (7, 1), stride=(stride, 1), padding=(3, 0), bias=False),
        nn.BatchNorm2d(channels, affine=affine),
    )
