"""The probability of every operation on every edge over the steps of each search."""

from __future__ import annotations

from markupsafe import Markup

from rnas.reports.blocks import figure, left_out, paragraph
from rnas.reports.sections.base import Page, Section

__all__ = ["alpha"]

OVERRULED = """\
The panels show what alpha says. The search did not end with it: the race chose candidate {number},
whose operations the panels name with {found}."""


def alpha(page: Page) -> Section | None:
    """The section; None where everything was only evaluated here."""
    if page.contents.only_evaluated:
        return None
    body: list[Markup] = []
    for search in page.searches:
        body.append(page.heading(search))
        chosen = search.race
        if chosen is not None and chosen.overruled is not None and chosen.winner is not None:
            body.append(paragraph(Markup(OVERRULED).format(number=chosen.winner.number, found=Markup('"found"'))))
        yet = " yet" if page.unfinished else ""
        body += [*map(figure, search.alpha)] or [left_out(f"the search has not recorded alpha{yet}")]
    return Section.of("alpha", "Alpha over time", body, absent="there is no search in this folder")
