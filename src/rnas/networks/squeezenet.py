"""SqueezeNet 1.0 in its CIFAR form: a 3x3 stem of stride 1, eight fire modules, three max poolings, batch norm.

References:
    Iandola et al. 2016, "SqueezeNet" (https://arxiv.org/abs/1602.07360), Table 1 (before its pruning).
    RNAS, Table 1: 0.7 M parameters.

Deviations:
    Batch norm follows every convolution and takes the place of the dropout before the classifier. The classifier acts
    after the average over the pixels instead of before it, which for a linear map is the same, and no ReLU cuts its
    logits. Poolings are padded, so that maps of one pixel pass.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from rnas.networks.blocks import ConvNorm, scaled
from rnas.networks.normalise import Normalise

__all__ = ["Fire", "SqueezeNet"]

#: Squeezed channels and those of either expansion of the fire modules between two poolings, where the first fire
#: module has 128 output channels.
STAGES = (
    ((16, 64), (16, 64), (32, 128)),
    ((32, 128), (48, 192), (48, 192), (64, 256)),
    ((64, 256),),
)
PUBLISHED_CHANNELS = 128
STEM = 96


class Fire(nn.Module):
    """Squeeze by a 1x1 convolution, expand by 1x1 and 3x3 ones: (N, C, H, W) to (N, 2 * expanded, H, W)."""

    def __init__(self, in_channels: int, squeezed: int, expanded: int) -> None:
        super().__init__()
        self.squeeze = ConvNorm(in_channels, squeezed, 1, activation=nn.ReLU())
        self.expand_1x1 = ConvNorm(squeezed, expanded, 1, activation=nn.ReLU())
        self.expand_3x3 = ConvNorm(squeezed, expanded, 3, activation=nn.ReLU())

    def forward(self, x: Tensor) -> Tensor:
        squeezed = self.squeeze(x)
        return torch.cat([self.expand_1x1(squeezed), self.expand_3x3(squeezed)], dim=1)


class SqueezeNet(nn.Module):
    """Fire modules.

    `forward` takes images in [0, 1], shape (N, in_channels, H, W), and returns logits, shape (N, num_classes).
    `stages` holds the fire modules between two poolings, each stage with the pooling before it.

    Args:
        num_classes: number of classes.
        channels: output channels of the first fire module, rounded down to an even number of at least 2; the other
            widths follow in the published proportions.
        in_channels: channels of the images.
    """

    def __init__(self, num_classes: int, *, channels: int = PUBLISHED_CHANNELS, in_channels: int = 3) -> None:
        super().__init__()
        self.normalise = Normalise(in_channels)
        previous = scaled(STEM, channels, PUBLISHED_CHANNELS)
        self.stem = ConvNorm(in_channels, previous, 3, activation=nn.ReLU())
        self.stages = nn.Sequential()
        for fires in STAGES:
            stage = nn.Sequential(nn.MaxPool2d(3, stride=2, padding=1))
            for squeezed, width in fires:
                expanded = scaled(width, channels, PUBLISHED_CHANNELS)
                stage.append(Fire(previous, scaled(squeezed, channels, PUBLISHED_CHANNELS), expanded))
                previous = 2 * expanded
            self.stages.append(stage)
        self.classifier = nn.Linear(previous, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        features = self.stages(self.stem(self.normalise(images)))
        return self.classifier(features.mean(dim=(2, 3)))
