"""What is proved of each model, beside what attacks leave, as a table and a figure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rnas.reports.blocks import figure, grid, listing, note, paragraph, wide
from rnas.reports.certificates import certificates_html, contradictions
from rnas.reports.figures.certificates import certificates_figure
from rnas.reports.sections.base import Page, Section
from rnas.reports.wording import describe_settings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rnas.run.results import ModelResults

__all__ = ["certified"]

INTRODUCTION = """\
An attack that fails proves nothing. A certified image is proved to keep its class in the whole ball, so that the robust
accuracy lies between the two columns: certified on the left, with its Wilson 95% interval, and on the right the share
of the same images that no attack on record changed within the ball."""

ROUNDING = """\
Proofs hold for exact arithmetic and do not cover rounding. Randomised smoothing certifies the votes of a smoothed
model, each image with the probability that its settings say; its attacks see a few fixed draws of the noise."""

CURVES = """\
Solid: share of images certified within each radius; thin: by one of several methods. Dashed: share that no attack on
record changed within it; attacks bounded by eps say nothing new below eps. Within an L-infinity ball, radii up to twice
eps are looked for."""


def certified(page: Page) -> Section | None:
    """The section; None where nothing is certified."""
    models = [model for model in page.contents.results if model.certificates]
    drawn = certificates_figure(models)
    if drawn is None:
        return None
    wrong = list(contradictions(models))
    body = [
        paragraph(INTRODUCTION),
        wide(certificates_html(models)),
        *([listing(wrong)] if wrong else []),
        figure(page.gallery.add(drawn, "certificates", "Certified accuracy against the radius.", CURVES)),
        wide(grid(("Proved by", "Source", "Settings"), _methods(models), words=True)),
        note(ROUNDING),
    ]
    return Section.of("certified", "Certified accuracy", body)


def _methods(models: Sequence[ModelResults]) -> list[tuple[str, str, str]]:
    rows = {
        (row.title, row.source, describe_settings(row.settings)): None for model in models for row in model.certificates
    }
    return list(rows)
