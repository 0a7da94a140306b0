"""Jobs, on which engines work, and outcomes, which they answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from rnas.errors import RnasError

__all__ = ["Job", "Outcome", "attempt"]


@dataclass(frozen=True)
class Job:
    """A run that needs no other run of the same call.

    Args:
        name: as it should be told to the user.
        work: picklable, idempotent; what it makes it leaves in folders.
        finished: whether it is known that nothing of it is left to do.
    """

    name: str
    work: Callable[[], object]
    finished: bool = False


@dataclass(frozen=True)
class Outcome:
    """How a job ended.

    Args:
        job: the job.
        failure: None, or why it failed, in one line.
    """

    job: Job
    failure: str | None = None


def attempt(job: Job) -> str | None:
    """Do a job; what the user can mend becomes its failure, so that it does not stop the others."""
    try:
        job.work()
    except RnasError as error:
        return str(error)
    return None
