"""RobNet: cells of dense edges, each with two characters of code, found by sampling and adversarial fine-tuning.

All 14 edges into a cell's four nodes may exist. An edge's code says what is on it: "00" nothing, "01" a separable 3x3
convolution, "10" the identity, "11" both, added. The cells are stacked as those of DARTS, batch norm in them has no
scale and shift.

References:
    Guo et al. 2020, "When NAS Meets Robustness" (https://arxiv.org/abs/1911.10695); codes as in gmh14/RobNets.
    RNAS, Table 1: RobNet (large) has 6.9 M parameters.

Deviations:
    An edge with the code "11" is two edges of the genotype; a node adds them up, which is the same sum.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from rnas.errors import GenotypeError
from rnas.genotype import Cell, Edge, Genotype
from rnas.networks.cells import CellNetwork, Placement, darts_plan
from rnas.networks.published import other_cells
from rnas.spaces.darts import EDGES, INPUTS, NODES

__all__ = ["ROBNET_FREE", "ROBNET_LARGE", "RobNet", "cell_of", "genotype_of_codes"]

#: The operations on an edge, by its code.
OPERATIONS: dict[str, tuple[str, ...]] = {
    "00": (),
    "01": ("sep_conv_3x3",),
    "10": ("skip_connect",),
    "11": ("sep_conv_3x3", "skip_connect"),
}


def cell_of(code: Sequence[str]) -> Cell:
    """The cell that a code describes.

    Args:
        code: the characters of the 14 edges: node 2 from 0, 1; node 3 from 0, 1, 2; ...

    Raises:
        GenotypeError: if there are not 14 edges, or one has no such code.
    """
    if len(code) != len(EDGES):
        raise GenotypeError(f"expected the codes of {len(EDGES)} edges, got {len(code)}")
    nodes: list[list[Edge]] = [[] for _ in range(NODES)]
    for (source, target), characters in zip(EDGES, code, strict=True):
        if characters not in OPERATIONS:
            raise GenotypeError(
                f"node {target}, edge from {source}: expected one of {', '.join(OPERATIONS)}, got {characters!r}"
            )
        nodes[target - INPUTS] += [Edge(op, source) for op in OPERATIONS[characters]]
    return Cell(tuple(map(tuple, nodes)), tuple(range(INPUTS, INPUTS + NODES)), INPUTS)


def genotype_of_codes(codes: Sequence[Sequence[str]]) -> Genotype:
    """The cells of a network: kinds "01", "02", ... in the order of the codes.

    Raises:
        GenotypeError: if a code is malformed; the message names the cell.
    """
    cells = {}
    for position, code in enumerate(codes, start=1):
        try:
            cells[f"{position:02d}"] = cell_of(code)
        except GenotypeError as error:
            raise GenotypeError(f"cell '{position:02d}', {error}") from error
    return Genotype(cells)


ROBNET_LARGE = genotype_of_codes(other_cells()["robnet_large"]["codes"])
ROBNET_FREE = genotype_of_codes(other_cells()["robnet_free"]["codes"])


def robnet_plan(cells: int, *, kinds: tuple[str, ...]) -> list[Placement]:
    """The cells of DARTS' stack, the kinds spread evenly over them in order: one kind shared by all, or one a cell."""
    return [
        Placement(kinds[index * len(kinds) // cells], placement.multiple, placement.reduce)
        for index, placement in enumerate(darts_plan(cells))
    ]


class RobNet(CellNetwork):
    """A network of RobNet's cells.

    `forward` takes images in [0, 1], shape (N, in_channels, H, W), and returns logits, shape (N, num_classes).
    `cells` holds the cells in order.

    Args:
        genotype: one cell that all share (`ROBNET_LARGE`), or one for each of 20 positions (`ROBNET_FREE`), of which a
            stack of fewer takes some, evenly spread.
        num_classes: number of classes.
        channels: channels of a node in the first cells (C).
        cells: number of cells.
        in_channels: channels of the images.

    Raises:
        GenotypeError: if a node has no edge.
    """

    def __init__(
        self, genotype: Genotype, num_classes: int, *, channels: int = 36, cells: int = 20, in_channels: int = 3
    ) -> None:
        super().__init__(
            genotype,
            num_classes,
            channels=channels,
            cells=cells,
            in_channels=in_channels,
            plan=partial(robnet_plan, kinds=genotype.kinds),
            affine=False,
        )
