"""Loss and accuracy over the steps of each search and training."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rnas.objectives.config import UNATTACKED
from rnas.reports.blocks import figure
from rnas.reports.figures.curves import search_figure, training_figure
from rnas.reports.gallery import Picture
from rnas.reports.sections.base import Page, Section

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from rnas.run.contents import Part

__all__ = ["losses"]


def losses(page: Page) -> Section | None:
    """The section; None where everything was only evaluated here."""
    if page.contents.only_evaluated:
        return None
    body = map(figure, _pictures(page))
    return Section.of("losses", "Losses", body, absent="nothing has been recorded in a metrics.jsonl")


def _pictures(page: Page) -> list[Picture]:
    pictures = []
    for part in page.contents.parts:
        curves = _curves(part)
        if curves is not None:
            what = f"Training of {part.name}"
            name = f"losses_{part.name}"
            if part.kind == "search":
                several = len(page.contents.searches) > 1
                what, name = (f"Search {part.name}", name) if several else ("Search", "losses_search")
            pictures.append(page.gallery.add(curves, name, f"{what}: loss and accuracy over the steps.", f"{what}."))
    return pictures


def _curves(part: Part) -> Figure | None:
    if part.kind == "search":
        return search_figure(part.metrics)
    return training_figure(part.metrics, attacked=part.setting("training", "objective") not in (None, *UNATTACKED))
