"""RobNet: cells of dense edges, each with two characters of code, found by sampling and adversarial fine-tuning.

What the codes mean stands in `rnas.networks.robnet_codes`. The cells are stacked as those of DARTS, batch norm in them
has no scale and shift.

References:
    Guo et al. 2020, "When NAS Meets Robustness" (https://arxiv.org/abs/1911.10695); codes as in gmh14/RobNets.
    RNAS, Table 1: RobNet (large) has 6.9 M parameters.
"""

from __future__ import annotations

from functools import partial

from rnas.genotype import Genotype
from rnas.networks.cells import CellNetwork, Placement, darts_plan

__all__ = ["RobNet"]


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
