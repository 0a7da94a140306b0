"""The engines by name, and the one that needs nothing."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence

from rnas.errors import UnknownNameError
from rnas.executors.config import ExecutorConfig
from rnas.executors.jobs import Job, Outcome, attempt
from rnas.registry import Registry

__all__ = ["ENGINES", "Engine", "check_engine", "execute"]

#: Does jobs and yields their outcomes as they end, in any order.
Engine = Callable[[Sequence[Job], ExecutorConfig], Iterator[Outcome]]

ENGINES: Registry[Engine] = Registry("engine")


def check_engine(config: ExecutorConfig) -> None:
    """Check that there is such an engine.

    Raises:
        UnknownNameError: if there is none.
    """
    try:
        ENGINES[config.engine]
    except UnknownNameError as error:
        raise UnknownNameError(f"engine: {error}") from error


def execute(jobs: Sequence[Job], config: ExecutorConfig) -> Iterator[Outcome]:
    """Do jobs.

    Args:
        jobs: in the order in which they should begin.
        config: where.

    Yields:
        The outcome of each job as it ends, in any order.

    Raises:
        UnknownNameError: if there is no such engine.
        ConfigError: if the engine's package is missing, its cluster does not answer, or can never run such a job.
    """
    check_engine(config)
    return ENGINES[config.engine](jobs, config)


@ENGINES.register("local")
def local(jobs: Sequence[Job], config: ExecutorConfig) -> Iterator[Outcome]:  # noqa: ARG001
    """One job after another, in this process."""
    for number, job in enumerate(jobs, start=1):
        print(f"run {number} of {len(jobs)}: {job.name}", file=sys.stderr, flush=True)
        yield Outcome(job, attempt(job))
