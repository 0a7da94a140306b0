"""Register a search space of your own: its cells, its supernet and its network; then every command works in it.

rnas search --plugin examples/own_space.py --search.space two_layers --out runs/two_layers
rnas train --plugin examples/own_space.py --network.genotype runs/two_layers/genotype.json --out runs/two_layers_trained
"""

import itertools
from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor, nn

from rnas.config import require
from rnas.genotype import Cell, Edge, Genotype
from rnas.networks.normalise import Normalise
from rnas.supernets.base import CellSupernet, MixedOperation, active_operations
from rnas.supernets.space import SPACES, SearchSpace

OPERATIONS = ("skip_connect", "conv_3x3", "conv_5x5")
#: A cell is two layers, one after the other: the edges 0->1 and 1->2.
CELLS = tuple(itertools.product(OPERATIONS, repeat=2))


def build_layer(name: str, channels: int, *, affine: bool) -> nn.Module:
    """An operation, (N, C, H, W) to (N, C, H, W)."""
    if name == "skip_connect":
        return nn.Identity()
    convolution = nn.Conv2d(channels, channels, int(name[-1]), padding="same", bias=False)
    return nn.Sequential(nn.ReLU(), convolution, nn.BatchNorm2d(channels, affine=affine))


class Stack(nn.Module):
    """What the network and the supernet share: a stem, the cells, pooling between their halves, a classifier."""

    def __init__(self, make: Callable[[], nn.Module], num_classes: int, **form: int) -> None:
        super().__init__()
        self.normalise = Normalise(form["in_channels"])
        self.stem = nn.Conv2d(form["in_channels"], form["channels"], 3, padding=1, bias=False)
        self.cells = nn.ModuleList(make() for _ in range(form["cells"]))
        self.classifier = nn.Linear(form["channels"], num_classes)

    def classify(self, images: Tensor, *arguments: Tensor) -> Tensor:
        x = self.stem(self.normalise(images))
        for index, cell in enumerate(self.cells):
            x = nn.functional.avg_pool2d(x, 2) if index == (len(self.cells) + 1) // 2 else x
            x = cell(x, *arguments)
        return self.classifier(x.mean(dim=(2, 3)))


class SupernetCell(nn.Module):
    """Two layers, each a mixture of all operations."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.edges = nn.ModuleList(
            MixedOperation({name: build_layer(name, channels, affine=False) for name in OPERATIONS}) for _ in range(2)
        )

    def forward(self, x: Tensor, weights: Tensor) -> Tensor:
        for edge, *of_edge in zip(self.edges, weights, active_operations(weights), strict=True):
            x = edge(x, *of_edge)
        return x


class TwoLayersSupernet(Stack, CellSupernet):
    """The proxy network of a search."""

    alpha_shape = (1, 2, len(OPERATIONS))

    def __init__(self, num_classes: int, **form: int) -> None:
        super().__init__(lambda: SupernetCell(form["channels"]), num_classes, **form)

    def mix(self, images: Tensor, weights: Tensor) -> Tensor:
        return self.classify(images, weights[0])


class TwoLayersNetwork(Stack):
    """A genotype as an image classifier."""

    def __init__(self, genotype: Genotype, num_classes: int, **form: int) -> None:
        names = [edges[0].op for edges in genotype["block"].nodes]
        layers = [partial(build_layer, name, form["channels"], affine=True) for name in names]
        super().__init__(lambda: nn.Sequential(*(layer() for layer in layers)), num_classes, **form)

    def forward(self, images: Tensor) -> Tensor:
        return self.classify(images)


@SPACES.register("two_layers")
class TwoLayers(SearchSpace):
    """Nine cells, small enough to look at each."""

    kinds = ("block",)
    operations = OPERATIONS
    supernet = TwoLayersSupernet
    path_supernet = TwoLayersSupernet
    channels = 16
    cells = 8

    def build(self, genotype: Genotype, num_classes: int, **form: int) -> TwoLayersNetwork:
        return TwoLayersNetwork(genotype, num_classes, **form)

    def derive(self, alpha: Tensor, at_most: int | None) -> Genotype:
        weights = [dict(zip(OPERATIONS, edge, strict=True)) for edge in alpha[0].log_softmax(dim=-1).tolist()]
        return self.best([weights[0][first] + weights[1][second] for first, second in CELLS], at_most)

    def largest(self, at_most: int | None, generator: torch.Generator) -> Genotype:
        ties = torch.rand(len(CELLS), generator=generator).tolist()
        return self.best([self.size(genotype_of(cell)) + tie for cell, tie in zip(CELLS, ties, strict=True)], at_most)

    def best(self, scores: Sequence[float], at_most: int | None) -> Genotype:
        """The cell with the greatest score whose network is small enough."""
        sizes = [self.size(genotype_of(cell)) for cell in CELLS]
        if at_most is not None:
            require(at_most >= min(sizes), "size_limit", f"at least {min(sizes):,} parameters", at_most)
        fitting = [index for index, size in enumerate(sizes) if at_most is None or size <= at_most]
        return genotype_of(CELLS[max(fitting, key=lambda index: scores[index])])


def genotype_of(cell: Sequence[str]) -> Genotype:
    """The genotype with these two operations."""
    nodes = tuple((Edge(name, source),) for source, name in enumerate(cell))
    return Genotype({"block": Cell(nodes=nodes, concat=(2,), inputs=1)}, space="two_layers")
