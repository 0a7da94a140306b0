"""Engines: what one is, and the names of all."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager

from rnas.executors.config import ExecutorConfig
from rnas.executors.jobs import Job, Outcome
from rnas.registry import Registry

__all__ = ["ENGINES", "Engine", "Execute"]

#: Does jobs, begun in their order, and yields the outcome of each as it ends, in any order.
Execute = Callable[[Sequence[Job]], Iterator[Outcome]]

#: Makes ready, for the length of a with block, and puts away.
Engine = Callable[[ExecutorConfig], AbstractContextManager[Execute]]

ENGINES: Registry[Engine] = Registry("engine", "rnas.executors.catalogue")
