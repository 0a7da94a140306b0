"""ResNet18 in its CIFAR form: a 3x3 stem of stride 1, no max pooling, four stages of two basic blocks.

References:
    He et al. 2016, "Deep Residual Learning for Image Recognition" (https://arxiv.org/abs/1512.03385).
    RNAS, Table 1: 11.2 M parameters.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from rnas.networks.normalise import Normalise
from rnas.networks.operations import subsample

__all__ = ["BasicBlock", "ResNet"]


class BasicBlock(nn.Module):
    """Two 3x3 convolutions with a shortcut, (N, C, H, W) to (N, out_channels, H / stride, W / stride)."""

    def __init__(self, in_channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, stride=stride, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(out_channels)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(out_channels)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or in_channels != out_channels:
            self.shortcut = nn.Sequential(
                nn.Conv2d(in_channels, out_channels, 1, bias=False), nn.BatchNorm2d(out_channels)
            )

    def forward(self, x: Tensor) -> Tensor:
        out = F.relu(self.norm1(self.conv1(x)))
        return F.relu(self.norm2(self.conv2(out)) + self.shortcut(subsample(x, self.stride)))


class ResNet(nn.Module):
    """A residual network of basic blocks.

    `forward` takes images in [0, 1], shape (N, in_channels, H, W), and returns logits, shape (N, num_classes).
    `stages` holds the four stages in order; their outputs are the layers of the paper's Fig. 1.

    Args:
        num_classes: number of classes.
        channels: channels of the first stage; each further stage doubles them.
        blocks: blocks of each stage.
        in_channels: channels of the images.
    """

    def __init__(
        self, num_classes: int, *, channels: int = 64, blocks: tuple[int, ...] = (2, 2, 2, 2), in_channels: int = 3
    ) -> None:
        super().__init__()
        self.normalise = Normalise(in_channels)
        self.stem = nn.Sequential(
            nn.Conv2d(in_channels, channels, 3, padding=1, bias=False), nn.BatchNorm2d(channels), nn.ReLU()
        )
        stages = []
        previous = channels
        for index, count in enumerate(blocks):
            width = channels * 2**index
            strides = [1 if index == 0 else 2, *[1] * (count - 1)]
            inputs = [previous, *[width] * (count - 1)]
            stages.append(nn.Sequential(*map(BasicBlock, inputs, [width] * count, strides)))
            previous = width
        self.stages = nn.Sequential(*stages)
        self.classifier = nn.Linear(previous, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        features = self.stages(self.stem(self.normalise(images)))
        return self.classifier(features.mean(dim=(2, 3)))
