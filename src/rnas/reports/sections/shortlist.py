"""The candidates among which a search chose, and which one won."""

from __future__ import annotations

from typing import TYPE_CHECKING

from markupsafe import Markup

from rnas.reports.blocks import details, grid, listing, paragraph, wide
from rnas.reports.sections.base import Page, Section

if TYPE_CHECKING:
    from rnas.reports.shortlists import Candidate, Shortlist

__all__ = ["shortlist"]

HEADS = (
    "Candidate",
    "F",
    "F kept",
    "Adversarial loss",
    "Clean",
    "Under attack",
    Markup("Parameters<small>published size</small>"),
)


def shortlist(page: Page) -> Section | None:
    """The section; None where no search had a choice."""
    if page.contents.only_evaluated:
        return None
    body: list[Markup] = []
    for search in page.searches:
        if search.shortlist is not None:
            whose = f" of {search.name}" if len(page.searches) > 1 else ""
            lines = [
                f"Candidate {number}: {words or 'no longer in the folder'}."
                for number, words in enumerate(search.cells)
            ]
            body += [
                page.heading(search),
                paragraph(f"{search.shortlist.rule} {search.shortlist.verdict}"),
                wide(grid(HEADS, [_row(one, search.shortlist) for one in search.shortlist.candidates], sides=True)),
                details(f"Cells of the candidates{whose}", listing(lines)),
            ]
    return Section.of("shortlist", "Shortlist", body) if body else None


def _row(candidate: Candidate, among: Shortlist) -> list[str]:
    alphas = Markup(" (alpha's)") if candidate.number == 0 and among.searched else ""
    return [
        Markup("{}{}{}").format(candidate.number, alphas, " won" if candidate.chosen else ""),
        candidate.measure("F", ".4g"),
        {True: "yes", False: "no", None: "-"}[candidate.kept],
        candidate.measure("adversarial_loss"),
        candidate.percent("clean_accuracy"),
        candidate.percent("robust_accuracy"),
        candidate.measure("parameters", ",.0f"),
    ]
