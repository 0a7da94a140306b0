"""Which network is built."""

from __future__ import annotations

from dataclasses import dataclass

from rnas.config import MOST_CELLS, MOST_CHANNELS, require

__all__ = ["NetworkConfig"]


@dataclass(frozen=True)
class NetworkConfig:
    """A network by name, or a genotype's cells stacked.

    Args:
        name: a network of the zoo, for example resnet18; null to stack the cells of `genotype`.
        genotype: a genotype.json, for example that of a search; a run directory or a text file that holds a genotype;
            or one as DARTS and NAS-Bench-201 print it: "Genotype(normal=[...], ...)", "|op~0|+|op~0|op~1|+...".
        channels: channels of the first stage; null for the published width (36 for cells, 16 for NAS-Bench-201's).
        cells: number of cells; null for the published depth (20). Only for cell networks; of NAS-Bench-201 cells it is
            the number in each of the three stages (5).
    """

    name: str | None = None
    genotype: str | None = None
    channels: int | None = None
    cells: int | None = None

    def __post_init__(self) -> None:
        """Check the ranges."""
        require(
            self.channels is None or self.channels >= 1,
            "channels",
            "an integer >= 1 or null",
            self.channels,
            at_most=MOST_CHANNELS,
        )
        require(
            self.cells is None or self.cells >= 1, "cells", "an integer >= 1 or null", self.cells, at_most=MOST_CELLS
        )
