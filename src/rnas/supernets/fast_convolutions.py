"""Depthwise and grouped 1x1 convolutions whose gradients are convolutions too.

PyTorch's CPU library has fast kernels for the forward pass of a depthwise or grouped convolution in channels_last, but
takes their gradients, above all of dilated kernels, by loops that are up to a hundred times slower. The gradient in the
input of a convolution is a convolution with the mirrored kernel, so the fast forward kernels compute it as well; and
the gradient in the kernel is a sum over diagonals of products of matrices. Both stay differentiable.

Elsewhere than on CPUs these are the library's own convolutions.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

__all__ = ["channels_last", "depthwise", "pointwise", "positions", "repeat_channels"]

#: Pixels of a map up to which a depthwise kernel's gradient is read off all products of pixels (measured).
LARGEST_GRAM = 64


def channels_last(maps: Tensor) -> Tensor:
    """The same maps in the layout that all of this is fast in; a copy only if they are not."""
    return maps.contiguous(memory_format=torch.channels_last)


def positions(maps: Tensor) -> Tensor:
    """Feature maps (N, C, H, W) as a matrix (N H W, C); a view where they are dense in channels_last."""
    return maps.permute(0, 2, 3, 1).reshape(-1, maps.shape[1])


def repeat_channels(maps: Tensor, count: int) -> Tensor:
    """Concatenate `count` copies of maps (N, C, H, W) along the channels."""
    return torch.cat([maps] * count, dim=1) if count > 1 else maps


def depthwise(maps: Tensor, kernel: Tensor, *, stride: int = 1, dilation: int = 1) -> Tensor:
    """Convolve each channel with its own square kernel, padded so that stride 1 keeps the size.

    Args:
        maps: shape (N, C, H, W).
        kernel: shape (C, 1, k, k), k odd.
        stride: 1 or 2.
        dilation: distance of neighbouring taps, at least 1.

    Returns:
        Shape (N, C, ceil(H / stride), ceil(W / stride)).
    """
    # Taps that lie outside of the image for every pixel are left out; on the small maps of late cells that is most of
    # a dilated kernel, and the fast kernels refuse padding as wide as the image.
    size = kernel.shape[-1]
    radius = min(size // 2, (max(maps.shape[2:]) - 1) // dilation)
    cut = size // 2 - radius
    kernel = kernel[:, :, cut : size - cut, cut : size - cut]
    if maps.device.type == "cpu":
        return _Depthwise.apply(maps, kernel, stride, dilation)
    return _convolve(maps, kernel, stride, dilation)


def pointwise(maps: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Mix the channels of each group at each pixel: a grouped 1x1 convolution.

    Args:
        maps: shape (N, groups * c_in, H, W).
        weight: shape (groups, c_out, c_in).
        bias: shape (groups * c_out,), or None.

    Returns:
        Shape (N, groups * c_out, H, W).
    """
    if maps.device.type == "cpu":
        return _Pointwise.apply(maps, weight, bias)
    return _mix(maps, weight, bias)


def _convolve(maps: Tensor, kernel: Tensor, stride: int, dilation: int) -> Tensor:
    padding = dilation * (kernel.shape[-1] // 2)
    return F.conv2d(maps, kernel, None, stride, padding, dilation, groups=len(kernel))


def _mix(maps: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    return F.conv2d(maps, weight.reshape(-1, weight.shape[2], 1, 1), bias, groups=len(weight))


class _Depthwise(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, maps: Tensor, kernel: Tensor, stride: int, dilation: int) -> Tensor:
        ctx.save_for_backward(maps, kernel)
        ctx.stride, ctx.dilation = stride, dilation
        return _convolve(maps, kernel, stride, dilation)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (gradient,) = gradients
        maps, kernel = ctx.saved_tensors
        in_maps = in_kernel = None
        if ctx.needs_input_grad[0]:
            if ctx.stride == 1:
                spread = gradient
            else:
                # A strided convolution is the plain one, of which only every other pixel is kept.
                spread = torch.zeros_like(maps)
                spread[:, :, :: ctx.stride, :: ctx.stride] = gradient
            in_maps = depthwise(spread, kernel.flip(2, 3), dilation=ctx.dilation)
        if ctx.needs_input_grad[1]:
            in_kernel = _kernel_gradient(maps, gradient, kernel, ctx.stride, ctx.dilation)
        return in_maps, in_kernel, None, None


def _kernel_gradient(maps: Tensor, gradient: Tensor, kernel: Tensor, stride: int, dilation: int) -> Tensor:
    channels, _, size, _ = kernel.shape
    if maps.shape[2] * maps.shape[3] > LARGEST_GRAM:
        padding = dilation * (size // 2)
        _, in_kernel, _ = torch.ops.aten.convolution_backward(
            gradient, maps, kernel, None,
            [stride] * 2, [padding] * 2, [dilation] * 2, False, [0, 0], channels, [False, True, False],
        )  # fmt: skip
        return in_kernel
    # products[c, p, q]: pixel p of the input times pixel q of the output's gradient, summed over images.
    inputs = maps.permute(1, 2, 3, 0).reshape(channels, -1, len(maps))
    outputs = gradient.permute(1, 0, 2, 3).reshape(channels, len(maps), -1)
    products = torch.bmm(inputs, outputs).flatten(1)
    return (products @ _taps(maps, gradient, size, stride, dilation)).view(kernel.shape)


def _taps(maps: Tensor, gradient: Tensor, size: int, stride: int, dilation: int) -> Tensor:
    """Which products of pixels belong to which tap: zeros and ones, shape (pixels in * pixels out, size * size)."""

    def along(pixels: int, outputs: int) -> Tensor:
        offset = dilation * (torch.arange(size) - size // 2)
        read = stride * torch.arange(outputs).unsqueeze(1) + offset
        return (read == torch.arange(pixels).view(-1, 1, 1)).to(maps)  # pixel in, pixel out, tap

    rows, columns = along(maps.shape[2], gradient.shape[2]), along(maps.shape[3], gradient.shape[3])
    return torch.einsum("pqs,uvt->puqvst", rows, columns).reshape(-1, size * size)


class _Pointwise(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, maps: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(maps, weight)
        return _mix(maps, weight, bias)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (gradient,) = gradients
        maps, weight = ctx.saved_tensors
        in_maps = in_weight = in_bias = None
        if ctx.needs_input_grad[0]:
            in_maps = pointwise(gradient, weight.transpose(1, 2))
        if ctx.needs_input_grad[1]:
            groups = len(weight)
            outputs = positions(gradient).unflatten(1, (groups, -1)).permute(1, 2, 0)
            inputs = positions(maps).unflatten(1, (groups, -1)).transpose(0, 1)
            in_weight = torch.bmm(outputs, inputs)
        if ctx.needs_input_grad[2]:
            in_bias = gradient.sum(dim=(0, 2, 3))
        return in_maps, in_weight, in_bias
