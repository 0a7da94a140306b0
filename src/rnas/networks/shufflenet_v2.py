"""ShuffleNetV2 in its CIFAR form: the published width 1x behind a 3x3 stem of stride 1, no max pooling.

References:
    Ma et al. 2018, "ShuffleNet V2: Practical Guidelines" (https://arxiv.org/abs/1807.11164), Table 5 and Fig. 3 (c, d).
    RNAS, Table 1: 1.3 M parameters. Of the published widths 0.5x, 1x, 1.5x and 2x, 1x counts so.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from rnas.networks.blocks import ConvNorm, scaled
from rnas.networks.normalise import Normalise

__all__ = ["ShuffleNetV2", "ShuffleUnit", "shuffle"]

#: Units of the stages; each stage has twice the channels of the one before.
UNITS = (4, 8, 4)
PUBLISHED_CHANNELS = 116
STEM = 24
HEAD = 1024


def shuffle(x: Tensor) -> Tensor:
    """Interleave the two halves of the channels: 0, C/2, 1, C/2 + 1, ...

    Args:
        x: shape (N, C, H, W), C even.
    """
    return x.unflatten(1, (2, -1)).transpose(1, 2).flatten(1, 2)


class ShuffleUnit(nn.Module):
    """Half of the channels pass as they are, half through three convolutions; then both are interleaved.

    With stride 2 all channels enter both branches: (N, C, H, W) to (N, out_channels, ceil(H / 2), ceil(W / 2)).

    Args:
        in_channels: channels of the input; with stride 1 equal to `out_channels`.
        out_channels: channels of the output, even.
        stride: 1 or 2.
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        half = out_channels // 2
        entering = half if stride == 1 else in_channels
        self.passing: nn.Module | None = None
        if stride != 1:
            self.passing = nn.Sequential(
                ConvNorm(entering, entering, 3, stride=stride, groups=entering),
                ConvNorm(entering, half, 1, activation=nn.ReLU()),
            )
        self.convolved = nn.Sequential(
            ConvNorm(entering, half, 1, activation=nn.ReLU()),
            ConvNorm(half, half, 3, stride=stride, groups=half),
            ConvNorm(half, half, 1, activation=nn.ReLU()),
        )

    def forward(self, x: Tensor) -> Tensor:
        if self.passing is None:
            passing, entering = x.chunk(2, dim=1)
        else:
            passing, entering = self.passing(x), x
        return shuffle(torch.cat([passing, self.convolved(entering)], dim=1))


class ShuffleNetV2(nn.Module):
    """Units of two branches whose channels are shuffled.

    `forward` takes images in [0, 1], shape (N, in_channels, H, W), and returns logits, shape (N, num_classes).
    `stages` holds the three stages in order.

    Args:
        num_classes: number of classes.
        channels: channels of the first stage, rounded up to an even number; each further stage doubles them. Stem and
            head follow in the published proportions.
        in_channels: channels of the images.
    """

    def __init__(self, num_classes: int, *, channels: int = PUBLISHED_CHANNELS, in_channels: int = 3) -> None:
        super().__init__()
        self.normalise = Normalise(in_channels)
        previous = scaled(STEM, channels, PUBLISHED_CHANNELS)
        self.stem = ConvNorm(in_channels, previous, 3, activation=nn.ReLU())
        self.stages = nn.Sequential()
        width = channels + channels % 2
        for units in UNITS:
            stage = nn.Sequential(ShuffleUnit(previous, width, 2))
            stage.extend(ShuffleUnit(width, width, 1) for _ in range(units - 1))
            self.stages.append(stage)
            previous, width = width, 2 * width
        head = scaled(HEAD, channels, PUBLISHED_CHANNELS)
        self.head = ConvNorm(previous, head, 1, activation=nn.ReLU())
        self.classifier = nn.Linear(head, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        features = self.head(self.stages(self.stem(self.normalise(images))))
        return self.classifier(features.mean(dim=(2, 3)))
