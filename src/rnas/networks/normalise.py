"""Normalisation as the first layer of every network: outside, images and the eps of an attack stay in [0, 1]."""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["Normalise"]


class Normalise(nn.Module):
    """Subtract a mean and divide by a deviation, channel by channel.

    Both are buffers, so they travel with the weights. Until `fit` is called they are 0.5 and 0.25.

    Args:
        channels: number of image channels.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.full((1, channels, 1, 1), 0.5))
        self.register_buffer("deviation", torch.full((1, channels, 1, 1), 0.25))

    def fit(self, images: Tensor) -> None:
        """Take mean and deviation from training images.

        Args:
            images: uint8, shape (N, C, H, W).
        """
        # Values are integers 0 to 255, so a histogram a channel gives exact moments without a float copy.
        values = torch.arange(256, dtype=torch.float64) / 255
        for channel in range(images.shape[1]):
            counts = torch.bincount(images[:, channel].flatten().cpu(), minlength=256).double()
            weights = counts / counts.sum()
            mean = (weights * values).sum()
            deviation = (weights * (values - mean) ** 2).sum().sqrt()
            self.mean[0, channel] = mean
            self.deviation[0, channel] = deviation.clamp_min(1 / 255)

    def forward(self, images: Tensor) -> Tensor:
        # Broadcasting would also take grey images for three channels; expansion refuses them.
        return (images - self.mean.expand_as(images)) / self.deviation
