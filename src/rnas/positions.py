"""Which metrics of the vulnerability say nothing of maps of one position. Reports ask as well, so no torch here."""

from __future__ import annotations

from typing import Final

__all__ = ["ONE_POSITION", "tells"]

#: Metrics that compare distributions over the positions of a map. Of a map of one position the KL is 0 whatever the
#: attack did, and a Gaussian has no variance.
_OVER_POSITIONS: Final = ("kl", "kl_per_position", "kl_standardised", "gaussian_kl")

#: Why a layer has no value.
ONE_POSITION: Final = "maps of one position have no distribution over positions"


def tells(metric: str, height: int, width: int) -> bool:
    """Whether a metric, by its name, says anything of maps of this size in pixels."""
    return height * width > 1 or metric not in _OVER_POSITIONS
