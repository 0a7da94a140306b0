"""Tell what the evaluation's checks of itself found."""

from __future__ import annotations

from typing import TYPE_CHECKING

from markupsafe import Markup

from rnas.reports.blocks import code, details, grid, left_out, listing, note, paragraph
from rnas.reports.sections.base import Page, Section

if TYPE_CHECKING:
    from rnas.run.results import ModelResults

__all__ = ["sanity"]

SOURCES = """\
Checks after Athalye et al. 2018, section 3.1, and Carlini et al. 2019, sections 3 and 5, on 32 images. They
find gradients that are hidden or useless; to pass them proves nothing."""


def sanity(page: Page) -> Section | None:
    """The section; None where nothing was evaluated."""
    results = page.contents.results
    if not results:
        return None
    body = [block for model in results if model.sanity for block in _verdicts(model)]
    body = body or [left_out("these results were written without sanity checks, or nothing was attacked")]
    return Section.of("sanity", "Can these numbers be believed?", [*body, note(SOURCES)])


def _verdicts(model: ModelResults) -> list[Markup]:
    said = [paragraph(f"{model.name}: all {len(model.sanity)} checks passed.")]
    if model.doubts:
        words = (
            f"{model.name}: {len(model.doubts)} of {len(model.sanity)} checks failed. Until that is explained, its "
            "robust accuracies are upper bounds."
        )
        failed = [Markup("{}: {}").format(code(check.name), check.finding) for check in model.doubts]
        said = [paragraph(words, "state"), listing(failed)]
    rows = [(code(check.name), "passed" if check.passed else "failed", check.finding) for check in model.sanity]
    return [*said, details(f"All checks of {model.name}", grid(("Check", "Verdict", "Finding"), rows, words=True))]
