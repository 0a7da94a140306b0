"""Work in a process of its own that begins in milliseconds, for all that was imported is there: tests use it, too."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

__all__ = ["fork", "wait_for"]


def fork(work: Callable[[], int], said: Path | str, errors: Path | str) -> int:
    """Begin work in a process of its own.

    Args:
        work: returns the exit status, as does a SystemExit that it raises.
        said: a file to which its words are added.
        errors: the same for what it writes to the standard error; it may be the same file.

    Returns:
        The process's number.
    """
    process = os.fork()
    if process:
        return process
    status = 1
    try:
        for descriptor, path in ((1, said), (2, errors)):
            os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND), descriptor)
        status = work()
    except SystemExit as ended:
        status = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def wait_for(process: int) -> int:
    """The exit status of a process; minus the signal that ended it."""
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
