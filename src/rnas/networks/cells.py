"""Networks stacked from the cells of a genotype, in the form that DARTS evaluates.

A 3x3 convolution to ``3 * channels`` features, then the cells; the "reduce" cells at one and two thirds of the depth
halve the resolution and double the channels; global average pooling and a linear classifier. Other publications place
their cells otherwise: a `Plan` says where each kind of cell stands.

References:
    Liu et al. 2019, "DARTS: Differentiable Architecture Search" (https://arxiv.org/abs/1806.09055), Section 3.
    RNAS, Section 5.1: 20 cells, 36 channels.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from rnas.errors import GenotypeError, UnknownNameError
from rnas.genotype import Cell, Genotype
from rnas.networks.normalise import Normalise
from rnas.networks.operations import FactorizedReduce, ReluConvNorm, build_operation
from rnas.spaces.darts import kind_of_cell

__all__ = ["CellNetwork", "NetworkCell", "Placement", "Plan", "darts_plan"]

#: The features after the stem, in multiples of the first cells' channels.
STEM_MULTIPLIER = 3


@dataclass(frozen=True)
class Placement:
    """One position of the stack and its cell.

    Args:
        kind: the genotype's cell.
        multiple: channels of its nodes, in multiples of the first cells' channels.
        reduce: whether it halves the resolution.
    """

    kind: str
    multiple: int
    reduce: bool


#: Number of cells -> what stands at each position, first to last.
Plan = Callable[[int], list[Placement]]


def darts_plan(cells: int) -> list[Placement]:
    """Normal cells, but for the two reduce cells, which double the channels."""
    placements = []
    multiple = 1
    for index in range(cells):
        kind = kind_of_cell(index, cells)
        reduce = kind == "reduce"
        multiple *= 2 if reduce else 1
        placements.append(Placement(kind, multiple, reduce))
    return placements


class NetworkCell(nn.Module):
    """One cell with its operations fixed.

    Args:
        cell: its graph.
        before_previous: channels of the output of the cell before the previous one.
        previous: channels of the output of the previous cell.
        channels: channels of every node.
        reduce: whether edges from the inputs have stride 2.
        reduced_before: whether the previous cell did; the older input is then larger and is halved first.
        affine: whether batch norm learns scale and shift.

    Raises:
        GenotypeError: if an operation does not exist; the message names node and edge.
    """

    def __init__(
        self,
        cell: Cell,
        before_previous: int,
        previous: int,
        channels: int,
        *,
        reduce: bool,
        reduced_before: bool,
        affine: bool = True,
    ) -> None:
        super().__init__()
        adapt = FactorizedReduce if reduced_before else ReluConvNorm
        self.adapt_before_previous = adapt(before_previous, channels, affine=affine)
        self.adapt_previous = ReluConvNorm(previous, channels, affine=affine)
        self.sources = [[edge.source for edge in node] for node in cell.nodes]
        self.concat = cell.concat
        self.out_channels = len(cell.concat) * channels
        self.edges = nn.ModuleList()
        for index, node in enumerate(cell.nodes, start=cell.inputs):
            for position, edge in enumerate(node):
                stride = 2 if reduce and edge.source < cell.inputs else 1
                try:
                    self.edges.append(build_operation(edge.op, channels, stride, affine=affine))
                except UnknownNameError as error:
                    raise GenotypeError(f"node {index}, edge {position}: {error}") from error

    def forward(self, before_previous: Tensor, previous: Tensor) -> Tensor:
        states = [self.adapt_before_previous(before_previous), self.adapt_previous(previous)]
        edges = iter(self.edges)
        for sources in self.sources:
            outputs = [next(edges)(states[source]) for source in sources]
            states.append(sum(outputs[1:], outputs[0]))
        return torch.cat([states[node] for node in self.concat], dim=1)


class CellNetwork(nn.Module):
    """A genotype as an image classifier.

    `forward` takes images in [0, 1], shape (N, in_channels, H, W), and returns logits, shape (N, num_classes).
    `cells` holds the cells in order; their outputs are what Eq. 5 measures.

    Args:
        genotype: cells of the kinds that the plan places ("normal" and "reduce" in DARTS), each with two inputs.
        num_classes: number of classes.
        channels: channels of a node in the first cells (C).
        cells: number of cells.
        in_channels: channels of the images.
        plan: which cell stands where.
        affine: whether batch norm in the cells learns scale and shift.

    Raises:
        GenotypeError: if a needed kind of cell is missing, a node has no edge, or an operation does not exist.
    """

    def __init__(
        self,
        genotype: Genotype,
        num_classes: int,
        *,
        channels: int = 36,
        cells: int = 20,
        in_channels: int = 3,
        plan: Plan = darts_plan,
        affine: bool = True,
    ) -> None:
        super().__init__()
        self.genotype = genotype
        self.normalise = Normalise(in_channels)
        features = STEM_MULTIPLIER * channels
        self.stem = nn.Sequential(nn.Conv2d(in_channels, features, 3, padding=1, bias=False), nn.BatchNorm2d(features))
        self.cells = nn.ModuleList()
        before_previous = previous = features
        reduced_before = False
        for placement in plan(cells):
            kind, width, reduce = placement.kind, placement.multiple * channels, placement.reduce
            cell = genotype[kind]
            check_cell(cell, kind)
            try:
                module = NetworkCell(
                    cell, before_previous, previous, width, reduce=reduce, reduced_before=reduced_before, affine=affine
                )
            except GenotypeError as error:
                raise GenotypeError(f"cell {kind!r}, {error}") from error
            self.cells.append(module)
            before_previous, previous, reduced_before = previous, module.out_channels, reduce
        self.classifier = nn.Linear(previous, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        before_previous = previous = self.stem(self.normalise(images))
        for cell in self.cells:
            before_previous, previous = previous, cell(before_previous, previous)
        return self.classifier(previous.mean(dim=(2, 3)))


def check_cell(cell: Cell, kind: str) -> None:
    """Raise GenotypeError unless the cell fits a stack of two-input cells."""
    if cell.inputs != 2:
        raise GenotypeError(f"cell {kind!r} has {cell.inputs} inputs, expected 2 (the outputs of the two cells before)")
    for index, edges in enumerate(cell.nodes, start=cell.inputs):
        if not edges:
            raise GenotypeError(f"cell {kind!r}, node {index}: no incoming edge")
    if min(cell.concat) < cell.inputs:
        raise GenotypeError(f"cell {kind!r}: concat names the input {min(cell.concat)}, expected intermediate nodes")
