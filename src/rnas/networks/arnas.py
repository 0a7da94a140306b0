"""ARNAS: accurate cells in the first two thirds, robust cells in the last, a reduce cell at each border.

References:
    Ou et al. 2024, "Towards Accurate and Robust Architectures via Neural Architecture Search"
    (https://arxiv.org/abs/2405.05502); genotype and layout as in fyqsama/ARNAS.
"""

from __future__ import annotations

from rnas.networks.cells import CellNetwork, Placement
from rnas.networks.published import genotype_of, other_cells
from rnas.spaces.darts import kind_of_cell

__all__ = ["ARNAS_GENOTYPE", "Arnas", "arnas_plan"]

ARNAS_GENOTYPE = genotype_of(other_cells()["arnas"])


def arnas_plan(cells: int) -> list[Placement]:
    """Widths C, 2 C and 2 C: both reduce cells halve the resolution, only the first doubles the channels."""
    placements = []
    for index in range(cells):
        reduce = kind_of_cell(index, cells) == "reduce"
        unreduced = "accurate" if index < 2 * cells // 3 else "robust"
        multiple = 1 if index < cells // 3 else 2
        placements.append(Placement("reduce" if reduce else unreduced, multiple, reduce))
    return placements


class Arnas(CellNetwork):
    """The published cells of ARNAS.

    `forward` takes images in [0, 1], shape (N, in_channels, H, W), and returns logits, shape (N, num_classes).
    `cells` holds the cells in order.

    Args:
        num_classes: number of classes.
        channels: channels of a node in the first third (C).
        cells: number of cells.
        in_channels: channels of the images.
    """

    def __init__(self, num_classes: int, *, channels: int = 64, cells: int = 20, in_channels: int = 3) -> None:
        super().__init__(
            ARNAS_GENOTYPE, num_classes, channels=channels, cells=cells, in_channels=in_channels, plan=arnas_plan
        )
