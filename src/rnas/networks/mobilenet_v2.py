"""MobileNetV2 in its CIFAR form: stem and second stage of stride 1, so that 32x32 images end at 4x4.

References:
    Sandler et al. 2018, "MobileNetV2: Inverted Residuals and Linear Bottlenecks" (https://arxiv.org/abs/1801.04381),
    Table 2.
    RNAS, Table 1: 2.3 M parameters.

Deviations:
    A block of stride 1 that changes its width has a 1x1 convolution as its shortcut, the publication has none there.
    This is the form common for CIFAR, and the one that counts the 2.3 M of the tables; without it there are 2.2 M.
"""

from __future__ import annotations

from torch import Tensor, nn

from rnas.networks.blocks import ConvNorm, scaled
from rnas.networks.normalise import Normalise

__all__ = ["InvertedResidual", "MobileNetV2"]

#: Expansion, width, blocks and stride of each stage, for a first stage of 16 channels.
STAGES = (
    (1, 16, 1, 1),
    (6, 24, 2, 1),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)
PUBLISHED_CHANNELS = 16
STEM = 32
HEAD = 1280


class InvertedResidual(nn.Module):
    """Widen, convolve each channel, narrow: (N, C, H, W) to (N, out_channels, ceil(H / stride), ceil(W / stride)).

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        expansion: width inside, in multiples of `in_channels`; 1 leaves the widening out.
        stride: 1, with a shortcut around the block, or 2, without one.
    """

    def __init__(self, in_channels: int, out_channels: int, expansion: int, stride: int) -> None:
        super().__init__()
        inside = expansion * in_channels
        self.body = nn.Sequential()
        if expansion > 1:
            self.body.append(ConvNorm(in_channels, inside, 1, activation=nn.ReLU6()))
        self.body.append(ConvNorm(inside, inside, 3, stride=stride, groups=inside, activation=nn.ReLU6()))
        self.body.append(ConvNorm(inside, out_channels, 1))
        self.shortcut: nn.Module | None = None
        if stride == 1:
            same = in_channels == out_channels
            self.shortcut = nn.Identity() if same else ConvNorm(in_channels, out_channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        out = self.body(x)
        return out if self.shortcut is None else out + self.shortcut(x)


class MobileNetV2(nn.Module):
    """Inverted residuals with linear bottlenecks.

    `forward` takes images in [0, 1], shape (N, in_channels, H, W), and returns logits, shape (N, num_classes).
    `stages` holds the seven stages in order.

    Args:
        num_classes: number of classes.
        channels: channels of the first stage; all other widths follow in the published proportions.
        in_channels: channels of the images.
    """

    def __init__(self, num_classes: int, *, channels: int = PUBLISHED_CHANNELS, in_channels: int = 3) -> None:
        super().__init__()
        self.normalise = Normalise(in_channels)
        previous = scaled(STEM, channels, PUBLISHED_CHANNELS)
        self.stem = ConvNorm(in_channels, previous, 3, activation=nn.ReLU6())
        self.stages = nn.Sequential()
        for expansion, published_width, blocks, stride in STAGES:
            width = scaled(published_width, channels, PUBLISHED_CHANNELS)
            stage = nn.Sequential()
            for position in range(blocks):
                stage.append(InvertedResidual(previous, width, expansion, stride if position == 0 else 1))
                previous = width
            self.stages.append(stage)
        head = scaled(HEAD, channels, PUBLISHED_CHANNELS)
        self.head = ConvNorm(previous, head, 1, activation=nn.ReLU6())
        self.classifier = nn.Linear(head, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        features = self.head(self.stages(self.stem(self.normalise(images))))
        return self.classifier(features.mean(dim=(2, 3)))
