"""The engine that needs nothing, and how one is opened by its name."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager

from rnas.errors import UnknownNameError
from rnas.executors.config import ExecutorConfig
from rnas.executors.jobs import Job, Outcome, attempt
from rnas.executors.registry import ENGINES, Execute
from rnas.executors.workers import several_workers

__all__ = ["open_executor"]


def open_executor(config: ExecutorConfig) -> AbstractContextManager[Execute]:
    """Open an engine that does jobs until the end of a with block.

    Raises:
        UnknownNameError: if there is no such engine.
        ConfigError: on entry, if the engine's package is missing, its cluster does not answer, or can never do a job.
    """
    try:
        engine = ENGINES[config.engine]
    except UnknownNameError as error:
        raise UnknownNameError(f"engine: {error}") from error
    return engine(config)


@ENGINES.register("local")
@contextmanager
def local_engine(config: ExecutorConfig) -> Iterator[Execute]:
    """One job after another in this process, or several at a time in worker processes."""
    if config.workers > 1:
        with several_workers(config.workers) as execute:
            yield execute
    else:
        yield one_by_one


def one_by_one(jobs: Sequence[Job]) -> Iterator[Outcome]:
    """Jobs in their order, in this process."""
    for number, job in enumerate(jobs, start=1):
        print(f"run {number} of {len(jobs)}: {job.name}", file=sys.stderr, flush=True)
        yield Outcome(job, attempt(job))
