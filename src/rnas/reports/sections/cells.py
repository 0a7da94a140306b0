"""Each distinct genotype once, with the names of the networks that have it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rnas.reports.blocks import figure, paragraph
from rnas.reports.figures.cells import draw_genotype
from rnas.reports.figures.style import cell_name
from rnas.reports.gallery import Picture
from rnas.reports.sections.base import Page, Section
from rnas.reports.wording import describe_cell

if TYPE_CHECKING:
    from rnas.genotype import Genotype
    from rnas.run.contents import Part

__all__ = ["cells"]

INTRODUCTION = (
    "Inputs are the outputs of the cells before; a node is the sum of its arrows; the grey arrows are concatenated."
)


def cells(page: Page) -> Section | None:
    """The section; None where everything was only evaluated here."""
    if page.contents.only_evaluated:
        return None
    pictures = _pictures(page)
    body = [paragraph(INTRODUCTION), *map(figure, pictures)] if pictures else []
    return Section.of("cells", "Cells", body, absent="there is no genotype.json in this folder")


def _pictures(page: Page) -> list[Picture]:
    owners: dict[Genotype, list[Part]] = {}
    for part in page.contents.parts:
        if part.genotype is not None:
            owners.setdefault(part.genotype, []).append(part)
    pictures = []
    for genotype, parts in owners.items():
        names = " and ".join(part.name for part in parts)
        words = "; ".join(f"{cell_name(kind)}: {describe_cell(cell)}" for kind, cell in genotype.cells)
        name, drawn = "cells" if len(owners) == 1 else f"cells_{parts[0].name}", draw_genotype(genotype)
        pictures.append(page.gallery.add(drawn, name, f"Drawing of the cells. {words}.", f"Of {names}."))
    return pictures
