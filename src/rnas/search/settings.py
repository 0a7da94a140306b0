"""Settings that belong to one search algorithm: ``search.<algorithm>.*``, a dataclass beside the algorithm.

An algorithm is registered with it: ``@ALGORITHMS.register("mine", settings=MineConfig)``. Nothing here needs torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rnas.registry import Lookup

if TYPE_CHECKING:
    from rnas.search.config import SearchConfig

__all__ = ["SETTINGS", "own_settings"]

#: The dataclass of each algorithm that has settings of its own; `rnas.search.algorithm.ALGORITHMS` fills it.
SETTINGS: Lookup[type[Any]] = Lookup("settings of the search algorithm")


def own_settings(config: SearchConfig) -> Any:
    """The settings of the chosen algorithm alone, or their defaults; None if it was registered without."""
    if config.algorithm not in SETTINGS:
        return None
    given = getattr(config, config.algorithm, None)
    return SETTINGS[config.algorithm]() if given is None else given
