"""Progress of long work: a live bar on a terminal, plain lines where there is none. Both fit in 80 columns."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from rnas.terminal import one_line, printable, shorten

__all__ = ["Reporter", "announce", "reporting"]

#: Seconds between two plain lines.
INTERVAL = 10.0
#: Columns of a line, and of its parts: the title's at most, and what the numbers get at most.
WIDTH = 80
TITLE = 24


class Reporter:
    """Tells how far a loop has come."""

    def __init__(self, title: str, total: int, start: int, unit: str, bar: Progress | None) -> None:
        self.title, self.total, self.start, self.unit = shorten(printable(title), TITLE), total, start, unit
        self.bar = bar
        self.task = None
        if bar is not None:
            self.task = bar.add_task(escape(self.title), total=total, completed=start, values="", left="")
        self.begun = self.shown = time.monotonic()

    def update(self, done: int, **values: float | str) -> None:
        """Say how far the loop is.

        Args:
            done: steps completed, of the total.
            values: what to show beside it, the most important first; numbers are printed to four digits.
        """
        moment = time.monotonic()
        words = [
            f"{name} {value:.4g}" if isinstance(value, float) else f"{name} {printable(value)}"
            for name, value in values.items()
        ]
        if self.bar is not None and self.task is not None:
            room = self.bar.console.width - len(self.title) - len(f"{self.total}") * 2 - len(self.unit) - 36
            left = self.left(done, moment)
            self.bar.update(self.task, completed=done, values=escape(fitting(words, room)), left=left)
        elif moment - self.shown >= INTERVAL or done == self.total:
            self.shown = moment
            begin = f"{self.title}: {done}/{self.total} {self.unit}"
            end = f"{seconds(moment - self.begun)}, {self.left(done, moment)}"
            middle = fitting(words, WIDTH - len(begin) - len(end) - 4)
            print("  ".join(filter(None, (begin, middle, end))), file=sys.stderr, flush=True)

    def left(self, done: int, moment: float) -> str:
        """The time that the rest takes at the speed so far, in words; nothing negative, whatever the total was."""
        if done <= self.start:
            return ""
        return f"{seconds((moment - self.begun) / (done - self.start) * (self.total - done))} left"


def fitting(words: list[str], room: int) -> str:
    """As many of the words, from the first, as fit in so many columns."""
    while words and len("  ".join(words)) > room:
        words = words[:-1]
    return "  ".join(words)


def seconds(duration: float) -> str:
    """A duration to the second, minute or hour: ``"48 s"``, ``"7 min"``, ``"2.5 h"``; 0 s for one that is negative."""
    whole = max(0, round(duration))
    return f"{whole} s" if whole < 100 else f"{whole / 60:.0f} min" if whole < 6000 else f"{whole / 3600:.1f} h"


def announce(what: str) -> None:
    """Say on a terminal, at once, what begins: until its first numbers some seconds pass."""
    if sys.stderr.isatty():
        print(one_line(f"rnas: {what}"), file=sys.stderr, flush=True)


@contextmanager
def reporting(title: str, total: int, *, unit: str = "steps", start: int = 0) -> Iterator[Reporter]:
    """Show the progress of a loop on standard error.

    Args:
        title: what is being done, in a few words.
        total: number of steps.
        unit: what is counted, in the plural: "steps".
        start: steps done before, when a killed run goes on.
    """
    console = Console(stderr=True)
    if not console.is_terminal:
        yield Reporter(title, total, start, unit, None)
        return
    columns = (
        TextColumn("[bold]{task.description}"),
        BarColumn(bar_width=8),
        TextColumn(f"{{task.completed:.0f}}/{{task.total:.0f}} {unit}"),
        TextColumn("{task.fields[values]}"),
        TimeElapsedColumn(),
        TextColumn("{task.fields[left]}"),
    )
    with Progress(*columns, console=console) as bar:
        yield Reporter(title, total, start, unit, bar)
