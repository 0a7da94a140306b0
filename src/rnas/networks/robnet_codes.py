"""RobNet's edge codes, and the cells that they describe.

All 14 edges into a cell's four nodes may exist. An edge's code says what is on it: "00" nothing, "01" a separable 3x3
convolution, "10" the identity, "11" both, added. Nothing here needs torch.

References:
    Guo et al. 2020, "When NAS Meets Robustness" (https://arxiv.org/abs/1911.10695); codes as in gmh14/RobNets.

Deviations:
    An edge with the code "11" is two edges of the genotype; a node adds them up, which is the same sum.
"""

from __future__ import annotations

from collections.abc import Sequence

from rnas.errors import GenotypeError
from rnas.genotype import Cell, Edge, Genotype
from rnas.networks.published import other_cells
from rnas.spaces.darts import EDGES, INPUTS, NODES

__all__ = ["ROBNET_FREE", "ROBNET_LARGE", "cell_of", "genotype_of_codes"]

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
