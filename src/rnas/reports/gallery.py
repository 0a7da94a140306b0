"""The figures of a page: saved under safe names, and as the page shows them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rnas.reports.figures.style import save

if TYPE_CHECKING:
    from pathlib import Path

    from matplotlib.figure import Figure

__all__ = ["Gallery", "Picture"]


@dataclass(frozen=True)
class Picture:
    """A figure as the page shows it.

    Args:
        source: its data URI.
        alternative: what it shows, for those who cannot see it.
        caption: stands below it.
        name: its files' name, without suffix.
    """

    source: str
    alternative: str
    caption: str
    name: str


class Gallery:
    """Saves figures into a folder under names that are safe and distinct.

    Args:
        folder: the folder of the figures.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._names: set[str] = set()

    def add(self, figure: Figure, name: str, alternative: str, caption: str = "") -> Picture:
        """Save a figure.

        Args:
            figure: the figure.
            name: for its files; what a file's name should not hold becomes an underscore.
            alternative: what it shows, in one sentence.
            caption: stands below it.
        """
        safe = name = re.sub(r"[^A-Za-z0-9_-]+", "_", name)
        count = 2
        while safe in self._names:
            safe, count = f"{name}_{count}", count + 1
        self._names.add(safe)
        return Picture(save(figure, self._folder, safe), alternative, caption, safe)
