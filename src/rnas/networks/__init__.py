"""Networks to train: from a genotype's cells, hand-made ones, and the zoo that names them all."""

from typing import TYPE_CHECKING

from rnas.lazy import lazily
from rnas.networks.config import NetworkConfig

if TYPE_CHECKING:
    from rnas.networks import zoo
    from rnas.networks.cards import NETWORKS
    from rnas.networks.cells import CellNetwork
else:
    __getattr__, __dir__ = lazily(__name__, {"cards": ("NETWORKS",), "cells": ("CellNetwork",), "zoo": ()})

__all__ = ["NETWORKS", "CellNetwork", "NetworkConfig", "zoo"]
