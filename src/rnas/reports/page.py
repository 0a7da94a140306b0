"""The report: figures and one page that holds them all and asks nothing of the network."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rnas.reports.facts import facts, headline, sources
from rnas.reports.gallery import Gallery
from rnas.reports.ledger import results_csv
from rnas.reports.rendering import render
from rnas.reports.sections import SECTIONS, Page
from rnas.reports.study_page import study_page
from rnas.run.contents import read_folder
from rnas.run.files import manifest_in, refuse_link, write_atomically

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["report"]


def report(folder: Path) -> Path:
    """Write ``report.html``, ``results.csv`` and ``figures/*.png`` and ``*.svg`` into a folder, from what it holds.

    The same content gives the same files, byte for byte. A section without data is left out, and says why.

    Args:
        folder: a run's folder, finished or not; or a folder with a search and models, or one of these alone; or a
            study's, whose page is of its front.

    Returns:
        The path of the page.

    Raises:
        RunError: if the folder does not exist, has nothing to report, cannot be written, or a file in it is damaged.
    """
    if manifest_in(folder).get("kind") == "tune":
        return study_page(folder)
    contents = read_folder(folder)
    refuse_link(folder / "figures")
    manifest, of, made_by = sources(contents)
    page = Page(contents, Gallery(folder / "figures"), manifest)
    text = render(
        title=headline(contents),
        unfinished=page.unfinished,
        unevaluated=[part.name for part in contents.parts if not part.complete],
        facts=facts(contents, manifest, of, made_by),
        sections=[section for make in SECTIONS if (section := make(page)) is not None],
    )
    if contents.results:
        write_atomically(folder / "results.csv", results_csv(contents))
    path = folder / "report.html"
    write_atomically(path, text)
    return path
