"""The smallest searches, in process: what the tests of single algorithms step through."""

from __future__ import annotations

from typing import Any

import torch

from rnas import data
from rnas.config import PgdConfig
from rnas.search.algorithm import ALGORITHMS, Batch, SearchState, SupernetAlgorithm
from rnas.search.extending import search_config
from rnas.search.loop import initial_state

DIGITS = data.load("digits", limit=40)


def batch(seed: int) -> Batch:
    """Eight images of the digits."""
    chosen = DIGITS.train.select(range(8 * (seed % 5), 8 * (seed % 5) + 8))
    return Batch(chosen.floats(), chosen.labels, torch.Generator().manual_seed(seed))


def begin(name: str, **changes: Any) -> tuple[Any, SearchState]:
    """An algorithm before its first step, with a sample of eight images; `changes` are of its SearchConfig."""
    settings: dict[str, Any] = {
        "algorithm": name,
        "space": "nasbench201",
        "channels": 2,
        "cells": 3 if changes.get("space") == "darts" else 1,
        "epochs": 4,
        "warmup_epochs": 2,
        "batch_size": 8,
        "attack": PgdConfig(steps=1),
    }
    assert name in ALGORITHMS  # its settings are known from here on
    config = search_config(**settings | changes)
    algorithm = ALGORITHMS[name](config, batch(0))
    assert isinstance(algorithm, SupernetAlgorithm)
    return algorithm, initial_state(DIGITS, config, algorithm, 5, seed=0, device="cpu")
