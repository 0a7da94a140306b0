"""Gradient search for architectures: one bilevel loop, one file an algorithm, and the projection of Eq. 9."""

import sys
from importlib import import_module
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
    # `rnas.search(...)` is the command, beside `rnas.train(...)`, and `rnas.search` stays this package.
    sys.modules[__name__].__class__ = import_module("rnas.search.package").SearchPackage

__all__ = ["ALGORITHMS", "ConstraintConfig", "SearchConfig", "projection", "search"]
