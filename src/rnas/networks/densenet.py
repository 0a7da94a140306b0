"""DenseNet121 in its CIFAR form: growth 32, dense blocks of 6, 12, 24 and 16 layers, a 3x3 stem of stride 1.

References:
    Huang et al. 2017, "Densely Connected Convolutional Networks" (https://arxiv.org/abs/1608.06993), DenseNet-BC.
    RNAS, Table 1: 7.0 M parameters.

Deviations:
    The CIFAR form has no 7x7 stride and no max pooling at the stem. A transition's pooling keeps the last row and
    column of an odd map.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from rnas.networks.normalise import Normalise

__all__ = ["DenseLayer", "DenseNet"]

#: Channels inside a layer, in multiples of the growth.
BOTTLENECK = 4


class DenseLayer(nn.Module):
    """A bottleneck whose output is appended to its input: (N, C, H, W) to (N, C + growth, H, W)."""

    def __init__(self, in_channels: int, growth: int) -> None:
        super().__init__()
        self.new = nn.Sequential(
            nn.BatchNorm2d(in_channels),
            nn.ReLU(),
            nn.Conv2d(in_channels, BOTTLENECK * growth, 1, bias=False),
            nn.BatchNorm2d(BOTTLENECK * growth),
            nn.ReLU(),
            nn.Conv2d(BOTTLENECK * growth, growth, 3, padding=1, bias=False),
        )

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([x, self.new(x)], dim=1)


class DenseNet(nn.Module):
    """A densely connected network.

    `forward` takes images in [0, 1], shape (N, in_channels, H, W), and returns logits, shape (N, num_classes).
    `stages` holds the dense blocks in order, each with the transition before it, which halves channels and resolution.

    Args:
        num_classes: number of classes.
        channels: channels that enter the first dense block; the growth is half of them.
        layers: layers of each dense block.
        in_channels: channels of the images.
    """

    def __init__(
        self, num_classes: int, *, channels: int = 64, layers: tuple[int, ...] = (6, 12, 24, 16), in_channels: int = 3
    ) -> None:
        super().__init__()
        growth = max(1, channels // 2)
        self.normalise = Normalise(in_channels)
        self.stem = nn.Conv2d(in_channels, channels, 3, padding=1, bias=False)
        self.stages = nn.Sequential()
        width = channels
        for index, count in enumerate(layers):
            stage = nn.Sequential()
            if index > 0:
                stage.append(transition(width, width // 2))
                width //= 2
            for _ in range(count):
                stage.append(DenseLayer(width, growth))
                width += growth
            self.stages.append(stage)
        self.norm = nn.Sequential(nn.BatchNorm2d(width), nn.ReLU())
        self.classifier = nn.Linear(width, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        features = self.norm(self.stages(self.stem(self.normalise(images))))
        return self.classifier(features.mean(dim=(2, 3)))


def transition(in_channels: int, out_channels: int) -> nn.Module:
    """(N, in_channels, H, W) to (N, out_channels, ceil(H / 2), ceil(W / 2))."""
    return nn.Sequential(
        nn.BatchNorm2d(in_channels),
        nn.ReLU(),
        nn.Conv2d(in_channels, out_channels, 1, bias=False),
        nn.AvgPool2d(2, ceil_mode=True),
    )
