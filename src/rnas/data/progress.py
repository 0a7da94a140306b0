"""Progress of something that may take long: a bar on a terminal, plain lines elsewhere, nothing if it is quick."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, TypeVar

from rich.console import Console
from rich.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["track"]

Item = TypeVar("Item")

# Seconds before anything is shown, and between plain lines.
QUIET = 3.0
INTERVAL = 10.0


def track(items: Iterable[Item], total: int, what: str) -> Iterator[Item]:
    """Pass items on, and tell on stderr how far it is.

    Args:
        items: anything.
        total: how many there are.
        what: the activity, for example ``"decoding train images"``.

    Yields:
        The items.
    """
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal, auto_refresh=False) as bar:
        task = bar.add_task(what, total=total, visible=False)
        due = time.monotonic() + QUIET
        for done, item in enumerate(items, start=1):
            yield item
            if (now := time.monotonic()) < due:
                continue
            if console.is_terminal:
                due = now + 0.1
                bar.update(task, completed=done, visible=True, refresh=True)
            else:
                due = now + INTERVAL
                console.print(f"{what}: {done} of {total}", highlight=False, soft_wrap=True)
