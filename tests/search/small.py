"""The smallest searches by sampling, for the tests of single algorithms."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch

from rnas import data
from rnas.commands import SearchCommand, run_search
from rnas.config import Distance, PgdConfig
from rnas.data.config import DataConfig
from rnas.search.algorithm import ALGORITHMS, Batch, SearchState
from rnas.search.config import ConstraintConfig, SearchConfig, ShortlistConfig
from rnas.search.extending import search_config
from rnas.search.loop import initial_state

#: Halves of 32: two batches of 16 an epoch.
IMAGES = 64


def config(algorithm: str, own: dict[str, Any], **changes: Any) -> SearchConfig:
    """Settings of a search in the space of NAS-Bench-201; `own` are those of the algorithm, `changes` of the search."""
    assert algorithm in ALGORITHMS  # the types of its settings are known from here on
    settings: dict[str, Any] = {
        "space": "nasbench201",
        "channels": 4,
        "cells": 1,
        "epochs": 10,
        "learning_rate": 0.1,
        "warmup_epochs": 1,
        "batch_size": 16,
        "attack": PgdConfig(eps=Distance(0.02), steps=1),
        "constraint": ConstraintConfig(images=8),
        "size_limit": "50%",
        "shortlist": ShortlistConfig(images=20),
    }
    kind = type(getattr(search_config(algorithm=algorithm), algorithm))
    return search_config(algorithm=algorithm, **settings | changes, **{algorithm: kind(**own)})


def run(out: Path, algorithm: str, own: dict[str, Any], **changes: Any) -> Path:
    """A whole search of the digits, or what is left of one that was killed."""
    search = config(algorithm, own, **changes)
    command = SearchCommand(out=str(out), data=DataConfig(limit=IMAGES), search=search, checkpoint_every=2, threads=1)
    return run_search(command)


def begun(algorithm: str, own: dict[str, Any], **changes: Any) -> tuple[Any, SearchState]:
    """An algorithm before its first step, with a sample of eight images, and a fresh state."""
    search = config(algorithm, own, **changes)
    digits = data.load("digits", limit=IMAGES)
    chosen = digits.train.select(range(8))
    sample = Batch(chosen.floats(), chosen.labels, torch.Generator().manual_seed(0))
    made = ALGORITHMS[algorithm](search, sample)
    return made, initial_state(digits, search, made, 2, seed=0, device="cpu")


def found(folder: Path, name: str) -> list[dict[str, Any]]:
    """What a search measured of each candidate."""
    listed: list[dict[str, Any]] = json.loads((folder / f"{name}.json").read_text())["candidates"]
    return listed
