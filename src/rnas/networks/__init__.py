"""What can be trained: cell networks from a genotype, hand-made ones, and the zoo that names them all."""

from rnas.lazy import lazily

__all__ = ["CellNetwork", "NetworkConfig", "NetworkSpec", "load_network", "zoo"]

__getattr__ = lazily(
    __name__,
    {
        "CellNetwork": "cells",
        "NetworkConfig": "config",
        "NetworkSpec": "spec",
        "load_network": "spec",
        "zoo": "zoo",
    },
)
