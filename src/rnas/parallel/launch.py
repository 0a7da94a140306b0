"""Joining the processes that torchrun started, and leaving them. Imports torch only where there are several."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch.distributed.distributed_c10d import Store

__all__ = ["launched", "local_rank"]

#: What torchrun tells its processes, and all of it: some schedulers set a part for purposes of their own.
VARIABLES = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")

#: How long a process waits for the others, which may validate meanwhile. One that has died is noticed at once.
PATIENCE = timedelta(days=1)


def local_rank() -> int:
    """The number of this process among those on this machine, from 0."""
    return int(os.environ.get("LOCAL_RANK", "0"))


@contextlib.contextmanager
def launched() -> Iterator[bool]:
    """Be one of torchrun's processes inside; does nothing where there is only one.

    Only the first process writes to standard output and standard error. Where several processes fail, each because
    another one has, only the first of them raises its error; the others leave with exit code 2.

    Yields:
        Whether there are several processes.
    """
    if not all(name in os.environ for name in VARIABLES) or os.environ["WORLD_SIZE"] == "1":
        yield False
        return
    from torch import distributed
    from torch.distributed.rendezvous import rendezvous

    store, rank, size = next(rendezvous("env://"))
    distributed.init_process_group(store=store, rank=rank, world_size=size, timeout=PATIENCE)
    with contextlib.ExitStack() as stack:
        if rank > 0:
            nowhere = stack.enter_context(Path(os.devnull).open("w", encoding="utf-8"))
            stack.enter_context(contextlib.redirect_stdout(nowhere))
            stack.enter_context(contextlib.redirect_stderr(nowhere))
        try:
            yield True
        except (Exception, KeyboardInterrupt):
            if not first_to_fail(store):
                raise SystemExit(2) from None
            raise
        finally:
            distributed.destroy_process_group()


def first_to_fail(store: Store) -> bool:
    """Whether no other process has failed before this one, as far as is known."""
    try:
        return store.add("failed", 1) == 1
    except RuntimeError:  # the process that kept the store is gone
        return False
