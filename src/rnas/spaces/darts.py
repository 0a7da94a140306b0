"""The cell space of DARTS, in which the paper searches (Section 5.1). A specification: no torch.

A cell has two inputs (the outputs of the two cells before it), four intermediate nodes and an edge from every earlier
node to each intermediate one; its output concatenates the four. A network stacks `cells` of them, of which the ones at
one and two thirds of the depth halve the resolution and double the channels.

References:
    Liu et al. 2019, "DARTS: Differentiable Architecture Search" (https://arxiv.org/abs/1806.09055).
"""

from __future__ import annotations

__all__ = ["EDGES", "INPUTS", "KINDS", "NAME", "NODES", "OPERATIONS", "kind_of_cell"]

#: What genotypes of it say in genotype.json.
NAME = "darts"

#: The candidate operations of an edge, in the order of alpha's last dimension.
OPERATIONS = (
    "none",
    "max_pool_3x3",
    "avg_pool_3x3",
    "skip_connect",
    "sep_conv_3x3",
    "sep_conv_5x5",
    "dil_conv_3x3",
    "dil_conv_5x5",
)

#: The kinds of cell, in the order of alpha's first dimension.
KINDS = ("normal", "reduce")

INPUTS = 2
NODES = 4

#: The edges of a cell as (source, target) node indices, in the order of alpha's second dimension.
EDGES = tuple((source, target) for target in range(INPUTS, INPUTS + NODES) for source in range(target))


def kind_of_cell(index: int, cells: int) -> str:
    """The kind of the cell at a position, ``"normal"`` or ``"reduce"``.

    Args:
        index: position of the cell, 0 to ``cells - 1``.
        cells: number of cells in the network.
    """
    return "reduce" if index in (cells // 3, 2 * cells // 3) else "normal"
