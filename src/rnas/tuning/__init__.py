"""Studies over a recipe's settings: what is varied, what counts, who suggests, and which trials no other dominates.

A trial is an ordinary run directory. The suggestion of a trial is a function of the study's seed, of the trial's number
and of the trials of earlier batches, so that a study that was killed anywhere ends as one that never was.
"""

from typing import TYPE_CHECKING

from rnas.lazy import lazily
from rnas.tuning.samplers import SAMPLERS
from rnas.tuning.space import Dimension, parse_space

if TYPE_CHECKING:
    from rnas.tuning.front import chosen, standings
    from rnas.tuning.journal import Journal
else:
    __getattr__, __dir__ = lazily(
        __name__,
        {
            "front": ("chosen", "standings"),
            "journal": ("Journal",),
        },
    )

__all__ = [
    "SAMPLERS",
    "Dimension",
    "Journal",
    "chosen",
    "parse_space",
    "standings",
]
