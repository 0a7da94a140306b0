"""The cell space of NAS-Bench-201, so small that every cell has been trained. A specification: no torch.

A cell has one input (node 0), three further nodes and an edge from every node to every later one; its output is the
last node. Each of the six edges carries one of five operations, so there are 5^6 = 15,625 cells. A network stacks three
stages of `cells` equal cells; a residual block between two stages halves the resolution and doubles the channels.

A cell is held here as `Operations`, the names on its edges in the order of `EDGES`, or as a `Genotype` with one cell of
the kind "cell". The benchmark writes it ``|op~0|+|op~0|op~1|+|op~0|op~1|op~2|``: one group a node, ``~`` the source.

References:
    Dong and Yang 2020, "NAS-Bench-201" (https://arxiv.org/abs/2001.00326), Section 2.1.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

from rnas.errors import GenotypeError, nearest
from rnas.genotype import Cell, Edge, Genotype

__all__ = [
    "CELLS_PER_STAGE",
    "CHANNELS",
    "EDGES",
    "INPUTS",
    "KERNELS",
    "KINDS",
    "NAME",
    "NODES",
    "OPERATIONS",
    "PATHS",
    "STAGES",
    "Operations",
    "all_cells",
    "count_parameters",
    "format_genotype",
    "format_operations",
    "genotype_of",
    "is_connected",
    "operations_of",
    "parse_genotype",
    "parse_operations",
    "without_dead_edges",
]

#: What genotypes of it say in genotype.json.
NAME = "nasbench201"

#: The candidate operations of an edge in the benchmark's order, that of alpha's last dimension.
OPERATIONS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")

#: The operations that learn: width of the convolution's kernel.
KERNELS = {"nor_conv_1x1": 1, "nor_conv_3x3": 3}

#: The kinds of cell, in the order of alpha's first dimension.
KINDS = ("cell",)

INPUTS = 1
#: Nodes after the input.
NODES = 3

#: The edges of a cell as (source, target) node indices, in the order of alpha's second dimension.
EDGES = tuple((source, target) for target in range(INPUTS, INPUTS + NODES) for source in range(target))

#: The four paths from the input to the output, each as positions in `EDGES`.
PATHS = tuple(
    tuple(EDGES.index(edge) for edge in itertools.pairwise((0, *between, NODES)))
    for count in range(NODES)
    for between in itertools.combinations(range(1, NODES), count)
)

#: The networks of the benchmark.
CHANNELS = 16
CELLS_PER_STAGE = 5
STAGES = 3

#: Characters of somebody's text in a message; a whole cell has fewer.
LONGEST = 120

#: The operation of each edge, in the order of `EDGES`.
Operations = tuple[str, ...]


def all_cells() -> Iterator[Operations]:
    """The 15,625 cells of the space, the operation of the last edge changing fastest."""
    return itertools.product(OPERATIONS, repeat=len(EDGES))


def parse_operations(text: str) -> Operations:
    """Read a cell in the benchmark's notation.

    Args:
        text: for example ``"|nor_conv_3x3~0|+|none~0|avg_pool_3x3~1|+|skip_connect~0|none~1|nor_conv_1x1~2|"``.

    Raises:
        GenotypeError: if it is not in that notation; the message names the node or the edge.
    """
    groups = text.strip().split("+")
    if len(groups) != NODES:
        raise GenotypeError(
            f"expected {NODES} nodes as in |op~0|+|op~0|op~1|+|op~0|op~1|op~2|, got {len(groups)} in {text[:LONGEST]!r}"
        )
    operations = []
    for target, group in enumerate(groups, start=INPUTS):
        items = group.strip().split("|")
        if len(items) != target + 2 or items[0] or items[-1]:
            form = "".join(f"|op~{source}" for source in range(target))
            raise GenotypeError(f"node {target}: expected {form}|, got {group[:LONGEST]!r}")
        for source, item in enumerate(items[1:-1]):
            name, mark, given = item.partition("~")
            if not mark or given != str(source):
                raise GenotypeError(
                    f"edge {source}->{target}: expected an operation and ~{source}, got {item[:LONGEST]!r}"
                )
            operations.append(_known(name, source, target))
    return tuple(operations)


def format_operations(operations: Sequence[str]) -> str:
    """Write a cell in the benchmark's notation; `parse_operations` reads it back.

    Raises:
        GenotypeError: if there are not six operations, or one is not of the space; the message names the edge.
    """
    names = iter(_checked(operations))
    groups = ("".join(f"|{next(names)}~{source}" for source in range(node)) + "|" for node in range(1, INPUTS + NODES))
    return "+".join(groups)


def genotype_of(operations: Sequence[str]) -> Genotype:
    """The genotype with these operations; `none` stays as an edge of that operation.

    Raises:
        GenotypeError: as `format_operations`.
    """
    names = iter(_checked(operations))
    nodes = tuple(tuple(Edge(next(names), source) for source in range(node)) for node in range(INPUTS, INPUTS + NODES))
    return Genotype({KINDS[0]: Cell(nodes=nodes, concat=(NODES,), inputs=INPUTS)}, space=NAME)


def operations_of(genotype: Genotype) -> Operations:
    """The operations of a genotype of this space, whatever the order of edges within a node.

    Raises:
        GenotypeError: if its graph is not that of the space; the message names the node or the edge.
    """
    cell = genotype[KINDS[0]]
    if (cell.inputs, len(cell.nodes), cell.concat) != (INPUTS, NODES, (NODES,)):
        raise GenotypeError(
            f"expected a cell of {INPUTS} input, {NODES} nodes and the output ({NODES},), "
            f"got {cell.inputs}, {len(cell.nodes)} and {cell.concat}"
        )
    operations = []
    for source, target in EDGES:
        found = [edge.op for edge in cell.nodes[target - INPUTS] if edge.source == source]
        if len(found) != 1:
            raise GenotypeError(f"edge {source}->{target}: expected one operation, got {len(found)}")
        operations.append(_known(found[0], source, target))
    return tuple(operations)


def parse_genotype(text: str) -> Genotype:
    """`parse_operations` as a genotype."""
    return genotype_of(parse_operations(text))


def format_genotype(genotype: Genotype) -> str:
    """Write a genotype in the benchmark's notation.

    Raises:
        GenotypeError: as `operations_of`.
    """
    return format_operations(operations_of(genotype))


def is_connected(operations: Sequence[str]) -> bool:
    """Whether a path of operations other than `none` leads from the input to the output."""
    return any(all(operations[edge] != "none" for edge in path) for path in PATHS)


def without_dead_edges(operations: Sequence[str]) -> Operations:
    """The cell with `none` on every edge that lies on no path from input to output; it computes the same."""
    live = {edge for path in PATHS if all(operations[edge] != "none" for edge in path) for edge in path}
    return tuple(name if edge in live else "none" for edge, name in enumerate(operations))


def count_parameters(
    operations: Sequence[str],
    *,
    channels: int = CHANNELS,
    cells: int = CELLS_PER_STAGE,
    num_classes: int = 10,
    in_channels: int = 3,
) -> int:
    """The learned values of the cell's network, in closed form; edges on no path count like the others.

    Args:
        operations: the cell.
        channels: channels of the first stage (C).
        cells: cells of each stage (N).
        num_classes: number of classes.
        in_channels: channels of the images.
    """
    widths = [channels * 2**stage for stage in range(STAGES)]
    kernels = [KERNELS[name] for name in operations if name in KERNELS]
    # A batch norm learns two values a channel; no convolution has a bias.
    stem = 9 * in_channels * channels + 2 * channels
    stages = sum(cells * (kernel**2 * width**2 + 2 * width) for width in widths for kernel in kernels)
    # 3x3 from c to 2c channels, 3x3 from 2c to 2c, their norms, and the shortcut's 1x1.
    reductions = sum(18 * width**2 + 36 * width**2 + 8 * width + 2 * width**2 for width in widths[:-1])
    head = 2 * widths[-1] + (widths[-1] + 1) * num_classes
    return stem + stages + reductions + head


def _known(name: str, source: int, target: int) -> str:
    if name not in OPERATIONS:
        raise GenotypeError(
            f"edge {source}->{target}: unknown operation {name[:LONGEST]!r}{nearest(name[:LONGEST], OPERATIONS)}"
        )
    return name


def _checked(operations: Sequence[str]) -> Operations:
    if len(operations) != len(EDGES):
        raise GenotypeError(f"expected {len(EDGES)} operations, one an edge, got {len(operations)}")
    return tuple(_known(name, *edge) for name, edge in zip(operations, EDGES, strict=True))
