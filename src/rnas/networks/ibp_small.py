"""The small network that interval bounds were first trained on: two 4x4 convolutions, one hidden layer, no batch norm.

References:
    Gowal et al. 2018, "On the Effectiveness of Interval Bound Propagation for Training Verifiably Robust Models"
    (https://arxiv.org/abs/1810.12715), Table 1, "small": 16 channels with stride 2, 32 with stride 1, 100 units.

Deviations:
    Convolutions are padded and maps averaged to 4x4 pixels before the hidden layer, so that images of any size pass;
    those of 8x8 are not averaged. Images are normalised by the first layer.
"""

from __future__ import annotations

from torch import Tensor, nn

from rnas.networks.blocks import scaled
from rnas.networks.normalise import Normalise

__all__ = ["IbpSmall"]

PUBLISHED_CHANNELS = 16
HIDDEN = 100
#: Side of the maps that the hidden layer sees.
SIDE = 4


class IbpSmall(nn.Module):
    """Two convolutions and two linear layers with ReLUs between them.

    `forward` takes images in [0, 1], shape (N, in_channels, H, W), and returns logits, shape (N, num_classes).
    `stages` holds the convolutions in order, each with its ReLU.

    Args:
        num_classes: number of classes.
        channels: channels of the first convolution; the second has twice as many, the hidden layer follows in the
            published proportion.
        in_channels: channels of the images.
    """

    def __init__(self, num_classes: int, *, channels: int = PUBLISHED_CHANNELS, in_channels: int = 3) -> None:
        super().__init__()
        self.normalise = Normalise(in_channels)
        self.stages = nn.Sequential(
            nn.Sequential(nn.ZeroPad2d((1, 2, 1, 2)), nn.Conv2d(in_channels, channels, 4, stride=2), nn.ReLU()),
            nn.Sequential(nn.ZeroPad2d((1, 2, 1, 2)), nn.Conv2d(channels, 2 * channels, 4), nn.ReLU()),
        )
        hidden = scaled(HIDDEN, channels, PUBLISHED_CHANNELS)
        self.pool = nn.AdaptiveAvgPool2d(SIDE)
        self.hidden = nn.Sequential(nn.Linear(2 * channels * SIDE**2, hidden), nn.ReLU())
        self.classifier = nn.Linear(hidden, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        features = self.pool(self.stages(self.normalise(images)))
        return self.classifier(self.hidden(features.flatten(1)))
