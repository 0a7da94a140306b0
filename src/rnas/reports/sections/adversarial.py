"""The saved images of each model under each attack."""

from __future__ import annotations

from markupsafe import Markup

from rnas.reports.blocks import figure, note
from rnas.reports.figures.adversarial import adversarial_figure, adversarial_files
from rnas.reports.figures.corruptions import corrupted_figure
from rnas.reports.gallery import Picture
from rnas.reports.sections.base import Page, Section

__all__ = ["adversarial"]

EXACT = Markup("""\
Pictures are rounded to grey levels; the exact images are in <code>adversarial/*.safetensors</code> of each
model's folder.""")


def adversarial(page: Page) -> Section | None:
    """The section; None where no images were saved."""
    pictures = _pictures(page)
    body = [*map(figure, pictures), note(EXACT)]
    return Section.of("adversarial", "Adversarial images", body) if pictures else None


def _pictures(page: Page) -> list[Picture]:
    pictures = []
    for part in page.contents.models:
        classes = part.results.class_names if part.results else ()
        for path in adversarial_files(part.path):
            drawn, words = adversarial_figure(path, classes)
            result = part.results.attack(path.stem) if part.results else None
            who = f"{part.name} under {result.title if result else path.stem}"
            name = f"adversarial_{part.name}_{path.stem}"
            pictures.append(page.gallery.add(drawn, name, f"{who}. {words}.", f"{who}. {words}."))
        if (corrupted := corrupted_figure(part.path, classes)) is not None:
            drawn, words = corrupted
            words = f"{part.name} under common corruptions: {words}."
            pictures.append(page.gallery.add(drawn, f"corrupted_{part.name}", words, words))
    return pictures
