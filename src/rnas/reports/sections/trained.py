"""F of the trained networks, where `rnas vulnerability` measured it."""

from __future__ import annotations

from markupsafe import Markup

from rnas.reports.blocks import grid, listing, note, paragraph, wide
from rnas.reports.sections.base import Page, Section
from rnas.reports.trained import Measurement, measurement

__all__ = ["trained"]

INTRODUCTION = Markup("""\
F is how far an attack moves a network's feature maps, the mean over its layers; a lower F is the aim of the search. It
says nothing of accuracy, and networks of different layers are compared with care.""")


def trained(page: Page) -> Section | None:
    """The section; None where nothing was measured."""
    contents = page.contents
    found = [part for part in contents.models if part.genotype is not None] if contents.searches else []
    # A measurement knows networks by their folders, the page of several runs by longer names.
    searched = {name for part in found for name in (part.name, part.path.name)}
    measured = [measurement(part, searched) for part in contents.measurements if part.ended]
    if not measured:
        return None
    body = [paragraph(INTRODUCTION)]
    for one in measured:
        body += [Markup("<h3>{}</h3>").format(one.name)] if len(measured) > 1 else []
        body += _shown(one)
    return Section.of("trained", "Vulnerability of the trained networks", body)


def _shown(measured: Measurement) -> list[Markup]:
    rows = [
        [metric, *("-" if value is None else f"{value:.3g}" for value in values)]
        for metric, values in measured.table.items()
    ]
    words = [listing(measured.words)] if measured.words else []
    table = grid(["F under", *measured.models], rows, sides=True)
    return [wide(table), *words, note(f"Measured with {measured.settings}.")]
