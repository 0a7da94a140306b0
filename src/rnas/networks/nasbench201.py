"""The networks of NAS-Bench-201: three stages of equal cells with residual blocks between them.

A 3x3 convolution and batch norm, the stages, then batch norm, ReLU, global average pooling and a linear classifier.
Five cells a stage and 16 channels in the first are the benchmark's; between stages a residual block of two 3x3
convolutions halves the resolution and doubles the channels, with average pooling and a 1x1 convolution as its shortcut.

References:
    Dong and Yang 2020, "NAS-Bench-201" (https://arxiv.org/abs/2001.00326), Section 2.1 and Figure 1.

Deviations:
    Images are normalised by the first layer. The shortcut's pooling rounds up, so that odd sizes work; on even sizes it
    computes what the original does. A disconnected cell is refused, because its network ignores the image.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn
from torch.nn import functional as F

from rnas.errors import GenotypeError
from rnas.genotype import Genotype
from rnas.networks.normalise import Normalise
from rnas.networks.operations import build_operation
from rnas.spaces import nasbench201

__all__ = ["NasBench201Network", "Reduction", "StagedNetwork", "build_edge"]


class ReluConvNorm(nn.Sequential):
    """ReLU, convolution, batch norm."""

    def __init__(
        self, in_channels: int, out_channels: int, kernel: int, *, stride: int = 1, affine: bool = True
    ) -> None:
        super().__init__(
            nn.ReLU(),
            nn.Conv2d(in_channels, out_channels, kernel, stride=stride, padding=kernel // 2, bias=False),
            nn.BatchNorm2d(out_channels, affine=affine),
        )


def build_edge(name: str, channels: int, *, affine: bool) -> nn.Module:
    """Build an operation of the space, (N, C, H, W) to (N, C, H, W).

    Args:
        name: one of `rnas.spaces.nasbench201.OPERATIONS`.
        channels: number of channels, in and out.
        affine: whether batch norm learns scale and shift: True in a network to be trained, False in a supernet.

    Raises:
        UnknownNameError: if there is no such operation; the message lists them.
    """
    if name in nasbench201.KERNELS:
        return ReluConvNorm(channels, channels, nasbench201.KERNELS[name], affine=affine)
    return build_operation(name, channels, 1, affine=affine)


class Reduction(nn.Module):
    """The residual block between stages, (N, C, H, W) to (N, 2 C, ceil(H / 2), ceil(W / 2))."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = ReluConvNorm(channels, 2 * channels, 3, stride=2)
        self.second = ReluConvNorm(2 * channels, 2 * channels, 3)
        self.shortcut = nn.Sequential(
            nn.AvgPool2d(2, stride=2, ceil_mode=True), nn.Conv2d(channels, 2 * channels, 1, bias=False)
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.second(self.first(x)) + self.shortcut(x)


class StagedNetwork(nn.Module):
    """Everything around the cells, which discrete networks and the supernet share.

    `cells` holds the cells in order, without the blocks between stages; their outputs are what Eq. 5 measures.

    Args:
        make_cell: builds a cell from its number of channels.
        num_classes: number of classes.
        channels: channels of the first stage (C).
        cells: cells of each stage (N).
        in_channels: channels of the images.
    """

    def __init__(
        self, make_cell: Callable[[int], nn.Module], num_classes: int, *, channels: int, cells: int, in_channels: int
    ) -> None:
        super().__init__()
        widths = [channels * 2**stage for stage in range(nasbench201.STAGES)]
        self.normalise = Normalise(in_channels)
        self.stem = nn.Sequential(nn.Conv2d(in_channels, channels, 3, padding=1, bias=False), nn.BatchNorm2d(channels))
        self.cells = nn.ModuleList(make_cell(width) for width in widths for _ in range(cells))
        self.reductions = nn.ModuleList(Reduction(width) for width in widths[:-1])
        self.norm = nn.BatchNorm2d(widths[-1])
        self.classifier = nn.Linear(widths[-1], num_classes)

    def classify(self, images: Tensor, *arguments: Tensor) -> Tensor:
        """Logits of shape (N, num_classes) for images in [0, 1]; every cell is given the further arguments."""
        x = self.stem(self.normalise(images))
        cells_per_stage = len(self.cells) // nasbench201.STAGES
        for index, cell in enumerate(self.cells):
            if index and index % cells_per_stage == 0:
                x = self.reductions[index // cells_per_stage - 1](x)
            x = cell(x, *arguments)
        return self.classifier(F.relu(self.norm(x)).mean(dim=(2, 3)))


class NetworkCell(nn.Module):
    """One cell with its operations fixed, (N, C, H, W) to (N, C, H, W)."""

    def __init__(self, operations: nasbench201.Operations, channels: int) -> None:
        super().__init__()
        self.edges = nn.ModuleList(build_edge(name, channels, affine=True) for name in operations)

    def forward(self, x: Tensor) -> Tensor:
        states = [x]
        edges = iter(self.edges)
        for _ in range(nasbench201.NODES):
            outputs = [next(edges)(state) for state in states]
            states.append(sum(outputs[1:], outputs[0]))
        return states[-1]


class NasBench201Network(StagedNetwork):
    """A cell of NAS-Bench-201 as an image classifier.

    `forward` takes images in [0, 1], shape (N, in_channels, H, W), and returns logits, shape (N, num_classes).

    Args:
        genotype: a genotype of the space, as `rnas.spaces.nasbench201.parse_genotype` reads it.
        num_classes: number of classes.
        channels: channels of the first stage (C).
        cells: cells of each of the three stages (N).
        in_channels: channels of the images.

    Raises:
        GenotypeError: if the genotype is not of the space, or no path leads from the cell's input to its output.
    """

    def __init__(
        self,
        genotype: Genotype,
        num_classes: int,
        *,
        channels: int = nasbench201.CHANNELS,
        cells: int = nasbench201.CELLS_PER_STAGE,
        in_channels: int = 3,
    ) -> None:
        operations = nasbench201.operations_of(genotype)
        if not nasbench201.is_connected(operations):
            raise GenotypeError(
                "disconnected cell: expected a path of operations other than none from node 0 to node 3, "
                f"got {nasbench201.format_operations(operations)}"
            )
        super().__init__(
            lambda width: NetworkCell(operations, width),
            num_classes,
            channels=channels,
            cells=cells,
            in_channels=in_channels,
        )
        self.genotype = genotype

    def forward(self, images: Tensor) -> Tensor:
        return self.classify(images)
