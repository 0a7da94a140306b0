"""VGG16 in its CIFAR form: 13 normalised 3x3 convolutions, five max poolings, one linear classifier.

References:
    Simonyan and Zisserman 2015, "Very Deep Convolutional Networks" (https://arxiv.org/abs/1409.1556), configuration D.
    RNAS, Table 1: 14.7 M parameters; Fig. 1: its layers' vulnerability.

Deviations:
    The CIFAR form has batch norm and, for the three fully connected layers with dropout, a single linear one.
    A pooling keeps the last row and column of an odd map, so that 8x8 images pass all five; 32x32 images see no
    difference.
"""

from __future__ import annotations

from torch import Tensor, nn

from rnas.networks.blocks import ConvNorm
from rnas.networks.normalise import Normalise

__all__ = ["VGG"]

#: Width, in multiples of the first stage's, and number of convolutions of the stages of VGG16.
VGG16_STAGES = ((1, 2), (2, 2), (4, 3), (8, 3), (8, 3))


class VGG(nn.Module):
    """A plain chain of 3x3 convolutions.

    `forward` takes images in [0, 1], shape (N, in_channels, H, W), and returns logits, shape (N, num_classes).
    `layers` holds the convolutions in order, each with its batch norm and ReLU, and with the pooling before it at the
    start of a stage; their outputs are the layers of the paper's Fig. 1.

    Args:
        num_classes: number of classes.
        channels: channels of the first stage.
        stages: width (in multiples of `channels`) and number of convolutions of each stage.
        in_channels: channels of the images.
    """

    def __init__(
        self,
        num_classes: int,
        *,
        channels: int = 64,
        stages: tuple[tuple[int, int], ...] = VGG16_STAGES,
        in_channels: int = 3,
    ) -> None:
        super().__init__()
        self.normalise = Normalise(in_channels)
        self.layers = nn.Sequential()
        previous = in_channels
        for stage, (multiple, count) in enumerate(stages):
            for position in range(count):
                layer: nn.Module = ConvNorm(previous, multiple * channels, 3, activation=nn.ReLU())
                if stage > 0 and position == 0:
                    layer = nn.Sequential(halving(), layer)
                self.layers.append(layer)
                previous = multiple * channels
        self.pool = halving()
        self.classifier = nn.Linear(previous, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        features = self.pool(self.layers(self.normalise(images)))
        return self.classifier(features.mean(dim=(2, 3)))


def halving() -> nn.Module:
    """2x2 max pooling; a map of one pixel stays one."""
    return nn.MaxPool2d(2, ceil_mode=True)
