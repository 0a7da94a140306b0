"""Gradient search for architectures: one bilevel loop, one file an algorithm, and the projection of Eq. 9."""

from rnas.lazy import lazily

__all__ = ["ALGORITHMS", "ConstraintConfig", "SearchConfig", "projection", "search"]

__getattr__ = lazily(
    __name__,
    {
        "ALGORITHMS": "algorithm",
        "ConstraintConfig": "config",
        "SearchConfig": "config",
        "projection": "projection",
        "search": "loop",
    },
)
