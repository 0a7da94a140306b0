"""Sections of the page: what one is, and what it is made from."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from markupsafe import Markup

from rnas.reports.blocks import left_out
from rnas.reports.searches import SearchSection, search_section

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from rnas.reports.gallery import Gallery
    from rnas.run.contents import Contents

__all__ = ["Page", "Section"]


@dataclass(frozen=True)
class Section:
    """A part of the page with a title of its own.

    Args:
        name: its address within the page.
        title: its heading.
        body: blocks of `rnas.reports.blocks`, in order.
    """

    name: str
    title: str
    body: tuple[Markup, ...]

    @classmethod
    def of(cls, name: str, title: str, body: Iterable[Markup], *, absent: str = "it is empty") -> Section:
        """A section with these blocks, or where there are none, with the reason of their absence."""
        return cls(name, title, tuple(body) or (left_out(absent),))


class Page:
    """All that the sections are made from.

    Args:
        contents: what the folder holds.
        gallery: where their figures go.
        manifest: the one that the page quotes, empty if there is none.
    """

    def __init__(self, contents: Contents, gallery: Gallery, manifest: Mapping[str, object]) -> None:
        self.contents, self.gallery, self.manifest = contents, gallery, manifest

    @property
    def unfinished(self) -> bool:
        """Whether a part of the run, or the run itself, has not ended."""
        contents = self.contents
        begun = bool(contents.manifest and not contents.manifest.get("finished"))
        return begun or not all(part.ended for part in contents.parts)

    @cached_property
    def searches(self) -> list[SearchSection]:
        """The searches, drawn once for all sections that show of them."""
        several = len(self.contents.searches) > 1
        return [
            search_section(search, self.gallery, f"_{search.name}" if several else "")
            for search in self.contents.searches
        ]

    def heading(self, search: SearchSection) -> Markup:
        """The name of a search, where there are several."""
        return Markup("<h3>{}</h3>\n").format(search.name) if len(self.searches) > 1 else Markup("")
