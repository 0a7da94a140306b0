"""Progress of long work: a live bar on a terminal, plain lines where there is none."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

__all__ = ["Reporter", "reporting"]

#: Seconds between two plain lines.
INTERVAL = 10.0


class Reporter:
    """What a loop tells of its progress."""

    def __init__(self, title: str, total: int, start: int, bar: Progress | None) -> None:
        self.title, self.total, self.start = title, total, start
        self.bar = bar
        self.task = None if bar is None else bar.add_task(title, total=total, completed=start, values="")
        self.begun = self.shown = time.monotonic()

    def update(self, done: int, **values: float | str) -> None:
        """Say how far the loop is.

        Args:
            done: steps completed, of the total.
            values: what to show beside it; numbers are printed to four digits.
        """
        words = "  ".join(
            f"{name} {value:.4g}" if isinstance(value, float) else f"{name} {value}" for name, value in values.items()
        )
        if self.bar is not None and self.task is not None:
            self.bar.update(self.task, completed=done, values=words)
            return
        moment = time.monotonic()
        if moment - self.shown >= INTERVAL or done == self.total:
            self.shown = moment
            elapsed = moment - self.begun
            left = elapsed / max(1, done - self.start) * (self.total - done)
            line = f"{self.title}: {done}/{self.total}  {words}  {elapsed:.0f} s, {left:.0f} s left"
            print(line, file=sys.stderr, flush=True)


@contextmanager
def reporting(title: str, total: int, *, start: int = 0) -> Iterator[Reporter]:
    """Show the progress of a loop on standard error.

    Args:
        title: what is being done, in a few words.
        total: number of steps.
        start: steps done before, when a killed run goes on.
    """
    console = Console(stderr=True)
    if not console.is_terminal:
        yield Reporter(title, total, start, None)
        return
    columns = (
        TextColumn("[bold]{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[values]}"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console) as bar:
        yield Reporter(title, total, start, bar)
