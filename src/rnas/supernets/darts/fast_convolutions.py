"""The convolutions of a fused supernet: depthwise ones whose gradients are fast, and 1x1 ones in groups.

PyTorch's CPU library has fast kernels for the forward pass of a depthwise convolution in channels_last, but takes its
gradients, above all with dilation, by loops that are 2 to 30 times slower. The gradient in the input is itself a
convolution with the mirrored kernel, so the fast forward kernels compute it as well. Elsewhere than on CPUs, and under
autocast, these are the library's own convolutions.
"""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

__all__ = ["channels_last", "depthwise", "gradient_channels_last", "pointwise", "repeat_channels"]


def channels_last(maps: Tensor) -> Tensor:
    """The same maps in the layout that all of this is fast in; a copy only if they are not."""
    return maps.contiguous(memory_format=torch.channels_last)


def gradient_channels_last(maps: Tensor) -> Tensor:
    """The same maps, whose gradient will be in channels_last too: autograd does not keep the layout by itself."""
    return apply(_GradientChannelsLast, maps)


def repeat_channels(maps: Tensor, count: int) -> Tensor:
    """Concatenate `count` copies of maps (N, C, H, W) along the channels."""
    return apply(_RepeatChannels, maps, count)


def pointwise(maps: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Mix the channels of each group at each pixel: a grouped 1x1 convolution.

    Args:
        maps: shape (N, groups * c_in, H, W).
        weight: shape (groups, c_out, c_in).
        bias: shape (groups * c_out,), or None.

    Returns:
        Shape (N, groups * c_out, H, W).
    """
    return F.conv2d(maps, weight.reshape(-1, weight.shape[2], 1, 1), bias, groups=len(weight))


def depthwise(maps: Tensor, kernel: Tensor, *, stride: int = 1, dilation: int = 1, smaller: int = 0) -> Tensor:
    """Convolve each channel with its own square kernel, padded so that stride 1 keeps the size.

    Args:
        maps: shape (N, C, H, W).
        kernel: shape (C, 1, k, k), k odd.
        stride: 1 or 2; 2 only without dilation.
        dilation: distance of neighbouring taps, at least 1.
        smaller: so many of the first channels have zeros all around their kernels, which are constants: their
            gradient, which is none of a parameter's, is given as zero.

    Returns:
        Shape (N, C, ceil(H / stride), ceil(W / stride)). Differentiable once.
    """
    # Taps that lie outside of the image for every pixel are left out; on the small maps of late cells that is most of
    # a dilated kernel, and the fast kernels refuse padding as wide as the image.
    size = kernel.shape[-1]
    radius = min(size // 2, (max(maps.shape[2:]) - 1) // dilation)
    if cut := size // 2 - radius:
        kernel, smaller = kernel[:, :, cut:-cut, cut:-cut], 0
    if maps.device.type != "cpu" or torch.is_autocast_enabled("cpu"):
        return _convolve(maps, kernel, stride, dilation)
    result = apply(_Depthwise, maps, kernel.detach(), stride, dilation)
    if kernel.requires_grad and torch.is_grad_enabled():
        # Detached, so that there is no way from this part of the gradient to the maps.
        values = maps.detach(), result.detach()
        result = apply(_Also, result, apply(_DepthwiseKernel, kernel, *values, stride, dilation, smaller))
    return result


def apply(function: type[torch.autograd.Function], *arguments: Any) -> Tensor:
    """`function.apply`, which torch leaves untyped."""
    return cast("Tensor", function.apply(*arguments))


def _convolve(maps: Tensor, kernel: Tensor, stride: int, dilation: int) -> Tensor:
    padding = dilation * (kernel.shape[-1] // 2)
    return F.conv2d(maps, kernel, None, stride, padding, dilation, groups=len(kernel))


class _GradientChannelsLast(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, maps: Tensor) -> Tensor:  # noqa: ARG004
        return maps.view_as(maps)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:  # noqa: ARG004
        return channels_last(gradients[0])


class _RepeatChannels(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, maps: Tensor, count: int) -> Tensor:
        ctx.count = count
        return torch.cat([maps] * count, dim=1)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        pixels = gradients[0].permute(0, 2, 3, 1)  # channels last: so the sum comes out in that layout
        return pixels.unflatten(3, (ctx.count, -1)).sum(dim=3).permute(0, 3, 1, 2), None


# A function written in Python computes the gradients of all its arguments, whichever of them are asked for. So that
# neither an attack nor a step on alpha pays for the gradient in the kernels, the convolution is two functions: one of
# the maps, which has its value, and one of the kernel, whose value is zero and is never added.


class _Also(torch.autograd.Function):
    """Add zeros to a tensor, in place and without touching it."""

    @staticmethod
    def forward(ctx: Any, value: Tensor, zeros: Tensor) -> Tensor:  # noqa: ARG004 - autograd sees both
        ctx.mark_dirty(value)
        return value

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor]:  # noqa: ARG004
        return gradients[0], gradients[0]


class _Depthwise(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, maps: Tensor, kernel: Tensor, stride: int, dilation: int) -> Tensor:
        ctx.save_for_backward(kernel)
        ctx.shape, ctx.stride, ctx.dilation = maps.shape, stride, dilation
        return _convolve(maps, kernel, stride, dilation)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (kernel,) = ctx.saved_tensors
        mirrored = kernel.flip(2, 3)
        if ctx.stride == 1:
            return _convolve(gradients[0], mirrored, 1, ctx.dilation), None, None, None
        return _convolve_upsampled(gradients[0], mirrored, ctx.shape), None, None, None


def _convolve_upsampled(maps: Tensor, kernel: Tensor, shape: torch.Size) -> Tensor:
    """Convolve maps with a zero after each pixel: at each parity of row and column, some taps meet pixels only."""
    if (kernel.shape[-1] // 2) % 2 == 1:
        kernel = F.pad(kernel, (1, 1, 1, 1))
    result = torch.empty(shape, dtype=maps.dtype, device=maps.device, memory_format=torch.channels_last)
    for row in range(2):
        for column in range(2):
            # Every other tap from the second on: one fewer than from the first, and a zero before them for the centre.
            taps = F.pad(kernel[:, :, row::2, column::2], (column, 0, row, 0))
            part = result[:, :, row::2, column::2]
            part.copy_(_convolve(maps, taps, 1, 1)[:, :, : part.shape[2], : part.shape[3]])
    return result


class _DepthwiseKernel(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, kernel: Tensor, maps: Tensor, result: Tensor, stride: int, dilation: int, smaller: int
    ) -> Tensor:
        ctx.save_for_backward(maps)
        ctx.size, ctx.stride, ctx.dilation, ctx.smaller = kernel.shape[-1], stride, dilation, smaller
        return result.new_zeros(()).expand_as(result)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (maps,) = ctx.saved_tensors
        parts = [
            (slice(ctx.smaller), ctx.size - 2),
            (slice(ctx.smaller, None), ctx.size),
        ]
        kernels = [
            F.pad(
                _kernel_gradient(maps[:, part], gradients[0][:, part], size, ctx.stride, ctx.dilation),
                [(ctx.size - size) // 2] * 4,
            )
            for part, size in parts
            if len(range(*part.indices(maps.shape[1])))
        ]
        return torch.cat(kernels), None, None, None, None, None


def _kernel_gradient(maps: Tensor, gradient: Tensor, size: int, stride: int, dilation: int) -> Tensor:
    channels, padding = maps.shape[1], dilation * (size // 2)
    if dilation == 1:
        # The library's own, which is fast where the taps are neighbours.
        kernel = maps.new_empty(channels, 1, size, size)
        maps, gradient = channels_last(maps), channels_last(gradient)
        return torch.ops.aten.convolution_backward(
            gradient, maps, kernel, None,
            [stride] * 2, [padding] * 2, [dilation] * 2, False, [0, 0], channels, [False, True, False],
        )[1]  # fmt: skip
    # A tap's gradient is the product of the output's gradient with the maps as that tap sees them, summed.
    outputs = gradient.permute(0, 2, 3, 1)
    inputs = F.pad(maps.permute(0, 2, 3, 1), (0, 0, padding, padding, padding, padding))
    height, width = outputs.shape[1:3]
    taps = [
        (inputs[:, row : row + height, column : column + width] * outputs).sum(dim=(0, 1, 2))
        for row in range(0, dilation * size, dilation)
        for column in range(0, dilation * size, dilation)
    ]
    return torch.stack(taps, dim=1).view(channels, 1, size, size)
