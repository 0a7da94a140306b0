"""The race between a search's candidates: who fell when, who won, and what F and the losses said."""

from __future__ import annotations

from typing import TYPE_CHECKING

from markupsafe import Markup

from rnas.reports.blocks import details, figure, grid, listing, paragraph, wide
from rnas.reports.sections.base import Page, Section

if TYPE_CHECKING:
    from rnas.reports.races import Race, Racer

__all__ = ["race"]

#: Columns whether or not there were several rungs, or a bound on F.
HEADS = ("Adversarial loss", "Clean", "Under attack", Markup("Parameters<small>published size</small>"))


def race(page: Page) -> Section | None:
    """The section; None where no search had a choice."""
    if page.contents.only_evaluated:
        return None
    body: list[Markup] = []
    for search in page.searches:
        if search.race is not None:
            whose = f" of {search.name}" if len(page.searches) > 1 else ""
            lines = [
                f"Candidate {number}: {words or 'no longer in the folder'}."
                for number, words in enumerate(search.cells)
            ]
            rows = [_row(one, search.race) for one in search.race.racers]
            body += [
                page.heading(search),
                paragraph(f"{search.race.rule} {search.race.verdict}"),
                *map(figure, search.rungs),
                wide(grid(_heads(search.race), rows, sides=True)),
                details(f"Cells of the candidates{whose}", listing(lines)),
            ]
    return Section.of("shortlist", "The race between candidates", body) if body else None


def _heads(among: Race) -> list[str]:
    rungs = ["Rungs"] if len(among.rungs) > 1 else []
    return ["Candidate", *rungs, "F", *(["F kept"] if _bounded(among) else []), *HEADS]


def _bounded(among: Race) -> bool:
    """Whether a bound on F alone decided who fell."""
    return among.order == "bound" and len(among.rungs) == 1


def _row(racer: Racer, among: Race) -> list[str]:
    alphas = Markup(" (alpha's)") if racer.number == 0 and among.searched else ""
    mutant = "" if racer.parent is None else f" (mutant of {racer.parent})"
    return [
        Markup("{}{}{}{}").format(racer.number, alphas, mutant, " won" if racer.chosen else ""),
        *([str(len(racer.rungs))] if len(among.rungs) > 1 else []),
        racer.measure("F", ".4g"),
        *([{True: "yes", False: "no", None: "-"}[racer.kept]] if _bounded(among) else []),
        racer.measure("adversarial_loss"),
        racer.percent("clean_accuracy"),
        racer.percent("robust_accuracy"),
        racer.measure("parameters", ",.0f"),
    ]
