"""From architecture parameters to a discrete architecture of the DARTS space, with a limit on its size if asked for.

For each node keep the two incoming edges whose strongest operation other than `none` weighs most, with that operation
(Liu et al. 2019, https://arxiv.org/abs/1806.09055, Section 2.4): the choice with the greatest sum of weights. Under a
size limit it is the choice with the greatest sum among those whose network is small enough.
"""

from __future__ import annotations

import functools
import itertools
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from rnas.config import require
from rnas.errors import ConfigError
from rnas.genotype import Cell, Edge, Genotype
from rnas.networks.cells import CellNetwork, Placement, darts_plan
from rnas.networks.operations import build_operation
from rnas.networks.zoo import PUBLISHED_CELLS, PUBLISHED_CHANNELS, count_parameters
from rnas.spaces import darts

__all__ = [
    "TARGETS",
    "choose_genotype",
    "derive_genotype",
    "largest_genotype",
    "size_around_operations",
    "size_of_operations",
]

#: Operations that an edge of a derived cell can have.
CANDIDATES = tuple(index for index, name in enumerate(darts.OPERATIONS) if name != "none")

#: The nodes whose incoming edges are chosen, in each kind of cell.
TARGETS = tuple(range(darts.INPUTS, darts.INPUTS + darts.NODES))


class Choice(NamedTuple):
    """Incoming edges of some nodes: what they cost, what they weigh, and (edge, operation) of each, node by node."""

    size: int
    weight: float
    nodes: tuple[tuple[tuple[int, int], ...], ...]


def derive_genotype(alpha: Tensor, at_most: int | None = None, *, edges_per_node: int = 2) -> Genotype:
    """Derive the genotype of a DARTS alpha.

    Args:
        alpha: logits, shape (len(darts.KINDS), len(darts.EDGES), len(darts.OPERATIONS)).
        at_most: parameters that its network may have in the published form (20 cells, 36 channels, ten classes); None
            for any number.
        edges_per_node: incoming edges that each intermediate node keeps.

    Returns:
        A genotype with the cells "normal" and "reduce"; the strongest edge of a node comes first.

    Raises:
        ConfigError: if no network is so small.
    """
    # Of whatever alpha, no operation is out of the question.
    weights = alpha.detach().double().softmax(dim=-1).clamp_min(torch.finfo(torch.double).tiny)
    return choose_genotype(weights.cpu(), at_most, edges_per_node)


def largest_genotype(at_most: int | None, generator: torch.Generator, edges_per_node: int = 2) -> Genotype:
    """A genotype whose network has the most parameters, of those with at most so many; raises as `derive_genotype`.

    Args:
        at_most: see `derive_genotype`.
        generator: on the CPU; decides between equal ones.
        edges_per_node: see `derive_genotype`.
    """
    sizes = torch.tensor(operation_sizes(), dtype=torch.float64)
    # Less than one parameter for all edges together: between equal ones only.
    ties = torch.rand(sizes.shape, generator=generator).double() / 100
    return choose_genotype(sizes + ties, at_most, edges_per_node)


def choose_genotype(weights: Tensor, at_most: int | None, edges_per_node: int = 2) -> Genotype:
    """The genotype with the greatest sum of weights, shape as alpha's; the rest is as in `derive_genotype`.

    An operation of weight 0 is out of the question.

    Raises:
        ConfigError: if no network is so small, or a node has too few edges left.
    """
    options = [
        node_choices(weights[kind], kind, target, edges_per_node)
        for kind in range(len(darts.KINDS))
        for target in TARGETS
    ]
    if not all(options):
        raise ConfigError(f"expected {edges_per_node} edges to every node with an operation of weight > 0, got fewer")
    if at_most is None:
        nodes = [max(of_node, key=lambda choice: choice.weight).nodes[0] for of_node in options]
    else:
        nodes = list(heaviest_within(options, at_most - size_around_operations()).nodes)
    cells = {}
    for kind, name in enumerate(darts.KINDS):
        strengths = weights[kind]
        cells[name] = Cell(
            nodes=tuple(
                tuple(
                    Edge(darts.OPERATIONS[operation], darts.EDGES[edge][0])
                    for edge, operation in sorted(node, key=lambda pair: -float(strengths[pair]))
                )
                for node in nodes[kind * darts.NODES : (kind + 1) * darts.NODES]
            ),
            concat=TARGETS,
            inputs=darts.INPUTS,
        )
    return Genotype(cells, space=darts.NAME)


def node_choices(weights: Tensor, kind: int, target: int, count: int) -> list[Choice]:
    """The ways to choose a node's incoming edges that no smaller or equal one outweighs."""
    size_of, weight_of = operation_sizes()[kind], weights.tolist()
    incoming = [edge for edge, (_, node) in enumerate(darts.EDGES) if node == target]
    ways = [
        tuple(zip(edges, operations, strict=True))
        for edges in itertools.combinations(incoming, count)
        for operations in itertools.product(CANDIDATES, repeat=count)
        if all(weight_of[edge][operation] > 0 for edge, operation in zip(edges, operations, strict=True))
    ]
    sizes = [sum(size_of[edge][operation] for edge, operation in pairs) for pairs in ways]
    sums = [sum(weight_of[edge][operation] for edge, operation in pairs) for pairs in ways]
    kept = undominated(torch.tensor(sizes), torch.tensor(sums, dtype=torch.float64))
    return [Choice(sizes[index], sums[index], (ways[index],)) for index in kept.tolist()]


def heaviest_within(options: list[list[Choice]], room: int) -> Choice:
    """The heaviest choice for all nodes whose operations have at most `room` parameters: dynamic programming."""
    least = [min(choice.size for choice in of_node) for of_node in options]
    smallest = sum(least) + size_around_operations()
    require(room >= sum(least), "size_limit", f"at least {smallest:,} parameters", room + size_around_operations())
    front = [Choice(0, 0.0, ())]
    for index, of_node in enumerate(options):
        # (choices before, choices of the node)
        sizes, weights = (
            torch.tensor([part[field] for part in front], dtype=dtype).unsqueeze(1)
            + torch.tensor([part[field] for part in of_node], dtype=dtype)
            for field, dtype in ((0, torch.int64), (1, torch.float64))
        )
        within = (sizes <= room - sum(least[index + 1 :])).flatten().nonzero().squeeze(1)
        sizes, weights = sizes.flatten()[within], weights.flatten()[within]
        kept = undominated(sizes, weights)
        front = [
            Choice(size, weight, front[place // len(of_node)].nodes + of_node[place % len(of_node)].nodes)
            for size, weight, place in zip(*(part[kept].tolist() for part in (sizes, weights, within)), strict=True)
        ]
    return front[-1]


def least_size(left: Tensor, edges_per_node: int = 2) -> float:
    """Parameters of the smallest network made of the operations that are left; infinite where there is none.

    Args:
        left: shape as alpha's, 0 for the operations that are gone.
        edges_per_node: see `derive_genotype`.
    """
    sizes = torch.tensor(operation_sizes(), dtype=torch.float64).masked_fill(left.cpu() == 0, torch.inf)
    smallest = sizes[..., list(CANDIDATES)].amin(dim=-1)
    nodes = [[edge for edge, (_, node) in enumerate(darts.EDGES) if node == target] for target in TARGETS]
    chosen = [smallest[:, edges].topk(edges_per_node, largest=False).values for edges in nodes]
    return size_around_operations() + float(torch.cat(chosen, dim=1).sum())


def undominated(sizes: Tensor, weights: Tensor) -> Tensor:
    """The choices that outweigh every one of no greater size, from the smallest and lightest to the heaviest.

    Args:
        sizes: of each choice, shape (choices,).
        weights: of the same shape.

    Returns:
        Their positions; the first of equal ones.
    """
    order = weights.argsort(descending=True, stable=True)
    order = order[sizes[order].argsort(stable=True)]
    highest = weights[order].cummax(dim=0).values
    return order[F.pad(highest[:-1], (1, 0), value=-torch.inf) < highest]


def size_of_operations(genotype: Genotype) -> int:
    """Parameters of all operations in the cells of the genotype's published network."""
    return sum(
        operation_size(edge.op, placement, edge.source)
        for placement in darts_plan(PUBLISHED_CELLS)
        for node in genotype[placement.kind].nodes
        for edge in node
    )


@functools.cache
def operation_sizes() -> list[list[list[int]]]:
    """Parameters of each operation in all cells of the published network, by kind, edge and operation."""
    return [
        [
            [
                sum(
                    operation_size(name, placement, source)
                    for placement in darts_plan(PUBLISHED_CELLS)
                    if placement.kind == kind
                )
                for name in darts.OPERATIONS
            ]
            for source, _ in darts.EDGES
        ]
        for kind in darts.KINDS
    ]


@functools.cache
def operation_size(name: str, placement: Placement, source: int) -> int:
    """Parameters of an operation on an edge from this node, in a cell of the published network."""
    stride = 2 if placement.reduce and source < darts.INPUTS else 1
    with torch.device("meta"):
        return count_parameters(build_operation(name, placement.multiple * PUBLISHED_CHANNELS, stride, affine=True))


@functools.cache
def size_around_operations() -> int:
    """Parameters of the published network outside the operations of its cells."""
    pooling = Cell(nodes=((Edge("avg_pool_3x3", 0),),) * darts.NODES, concat=TARGETS)
    genotype = Genotype(dict.fromkeys(darts.KINDS, pooling))
    with torch.device("meta"):
        return count_parameters(CellNetwork(genotype, 10, channels=PUBLISHED_CHANNELS, cells=PUBLISHED_CELLS))
