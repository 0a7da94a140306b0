"""Wide residual networks as adversarial training uses them: depth 28 or 34, ten times the width, no dropout.

References:
    Zagoruyko and Komodakis 2016, "Wide Residual Networks" (https://arxiv.org/abs/1605.07146), Table 1.
    Madry et al. 2018 (https://arxiv.org/abs/1706.06083) and Zhang et al. 2019, "TRADES"
    (https://arxiv.org/abs/1901.08573), for their use in adversarial training.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from rnas.errors import ConfigError
from rnas.networks.blocks import scaled
from rnas.networks.normalise import Normalise
from rnas.networks.operations import subsample

__all__ = ["PreactivationBlock", "WideResNet"]

PUBLISHED_CHANNELS = 160
STEM = 16


class PreactivationBlock(nn.Module):
    """Norm, ReLU and 3x3 convolution, twice: (N, C, H, W) to (N, out_channels, ceil(H / stride), ceil(W / stride)).

    The shortcut is the input or, where its shape must change, a 1x1 convolution of the activated input.
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.norm1 = nn.BatchNorm2d(in_channels)
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, stride=stride, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(out_channels)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False)
        self.shortcut: nn.Module | None = None
        if stride != 1 or in_channels != out_channels:
            self.shortcut = nn.Conv2d(in_channels, out_channels, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        activated = F.relu(self.norm1(x))
        out = self.conv2(F.relu(self.norm2(self.conv1(activated))))
        return out + (x if self.shortcut is None else self.shortcut(subsample(activated, self.stride)))


class WideResNet(nn.Module):
    """A wide residual network of three stages.

    `forward` takes images in [0, 1], shape (N, in_channels, H, W), and returns logits, shape (N, num_classes).
    `stages` holds the three stages in order; a stage's output is its sum before the next norm.

    Args:
        num_classes: number of classes.
        depth: number of layers, 6 n + 4 for n blocks a stage.
        channels: channels of the first stage, 16 times the widening; each further stage doubles them.
        in_channels: channels of the images.

    Raises:
        ConfigError: if no number of blocks has this depth.
    """

    def __init__(
        self, num_classes: int, *, depth: int = 28, channels: int = PUBLISHED_CHANNELS, in_channels: int = 3
    ) -> None:
        super().__init__()
        blocks, rest = divmod(depth - 4, 6)
        if blocks < 1 or rest:
            raise ConfigError(
                f"depth: expected 6 n + 4 for n >= 1 blocks a stage (10, 16, 22, 28, 34, ...), got {depth}"
            )
        self.normalise = Normalise(in_channels)
        previous = scaled(STEM, channels, PUBLISHED_CHANNELS)
        self.stem = nn.Conv2d(in_channels, previous, 3, padding=1, bias=False)
        self.stages = nn.Sequential()
        for index in range(3):
            width = channels * 2**index
            stage = nn.Sequential(PreactivationBlock(previous, width, 1 if index == 0 else 2))
            stage.extend(PreactivationBlock(width, width, 1) for _ in range(blocks - 1))
            self.stages.append(stage)
            previous = width
        self.norm = nn.Sequential(nn.BatchNorm2d(previous), nn.ReLU())
        self.classifier = nn.Linear(previous, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        features = self.norm(self.stages(self.stem(self.normalise(images))))
        return self.classifier(features.mean(dim=(2, 3)))
