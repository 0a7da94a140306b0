"""Gradient search for architectures: one bilevel loop, one file an algorithm, and the projection of Eq. 9."""

from typing import TYPE_CHECKING

from rnas.lazy import lazily

if TYPE_CHECKING:
    from rnas.search import projection
    from rnas.search.algorithm import ALGORITHMS
    from rnas.search.config import ConstraintConfig, SearchConfig
    from rnas.search.loop import search
else:
    __getattr__, __dir__ = lazily(
        __name__,
        {
            "algorithm": ("ALGORITHMS",),
            "loop": ("search",),
            "config": ("ConstraintConfig", "SearchConfig"),
            "projection": (),
        },
    )

__all__ = ["ALGORITHMS", "ConstraintConfig", "SearchConfig", "projection", "search"]
