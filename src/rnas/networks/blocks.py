"""The pieces that the hand-made networks share: a normalised convolution and the scaling of published widths."""

from __future__ import annotations

from torch import nn

__all__ = ["ConvNorm", "scaled"]


class ConvNorm(nn.Sequential):
    """A padded convolution without bias, batch norm and, if given, an activation.

    Maps (N, in_channels, H, W) to (N, out_channels, ceil(H / stride), ceil(W / stride)).

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        kernel: side of the kernel in pixels, odd.
        stride: 1 or 2.
        groups: groups of the convolution; `in_channels` makes it depthwise.
        activation: what follows the batch norm, for example ``nn.ReLU()``; None for nothing.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: int,
        *,
        stride: int = 1,
        groups: int = 1,
        activation: nn.Module | None = None,
    ) -> None:
        super().__init__(
            nn.Conv2d(in_channels, out_channels, kernel, stride=stride, padding=kernel // 2, groups=groups, bias=False),
            nn.BatchNorm2d(out_channels),
        )
        if activation is not None:
            self.append(activation)


def scaled(width: int, channels: int, published: int) -> int:
    """A published width in a network whose first stage has another one.

    Args:
        width: the width as published.
        channels: the first stage's channels, at least 1.
        published: the first stage's channels as published.

    Returns:
        ``width * channels / published``, rounded down, at least 1.
    """
    return max(1, width * channels // published)
