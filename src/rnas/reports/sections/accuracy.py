"""How accurate every model is under every attack, as a table and a figure, and how that was measured."""

from __future__ import annotations

from typing import TYPE_CHECKING

from markupsafe import Markup

from rnas.reports.blocks import figure, grid, note, paragraph, wide
from rnas.reports.facts import measurements
from rnas.reports.figures.corruptions import corruptions_figure
from rnas.reports.figures.dots import accuracy_figure
from rnas.reports.sections.base import Page, Section
from rnas.reports.tables import html_table
from rnas.reports.wording import describe_eps

if TYPE_CHECKING:
    from rnas.run.contents import Contents

__all__ = ["accuracy"]

INTRODUCTION = """\
Share of test images of {data} that are classified correctly, in percent{eps}, and
below it its Wilson 95% interval. An attack changes the images as the settings below allow; where it ran on a subset of
the images, the heading says so. Most attacks know the model and its gradients; Square sees only its outputs, a transfer
is made on another model, and corruptions are aimed at none."""

BOLD = """\
Bold: the highest under its attack, among models measured in the same way that passed all checks; a difference
that is small beside the intervals does not make one model better."""

UNITS = (
    "Distances are in the units of images in [0, 1]; 8/255 is eight grey levels. Median L2: of the changes that broke "
    "images, for each model."
)

FOLDED = """\
Attacks see a copy with batch norm folded into convolutions, the same logits within 1e-4; the model
itself judges every image."""

HEADS = ("Measured with", "Settings", "Images", "Median L2", "Time, all models")


def accuracy(page: Page) -> Section:
    """The section."""
    contents = page.contents
    body: list[Markup] = []
    if contents.results:
        body += [paragraph(_introduction(contents)), wide(html_table(contents.results)), *_measured(contents)]
        if any(model.attacks for model in contents.results):
            words = (
                "Accuracy of every model under every attack, with 95% intervals; the numbers are those of the table."
            )
            body.append(figure(page.gallery.add(accuracy_figure(contents.results), "accuracy", words)))
        if (corrupted := corruptions_figure(contents.results)) is not None:
            words = "Accuracy in percent under each common corruption at each severity."
            body.append(figure(page.gallery.add(corrupted, "corruptions", words, words)))
    absent = "no model in this folder has been evaluated (no results.json with attacks)"
    return Section.of("accuracy", "Robust accuracy", body, absent=absent)


def _introduction(contents: Contents) -> str:
    results = contents.results
    data, eps = sorted({model.data for model in results if model.data}), describe_eps(results)
    words = INTRODUCTION.format(data=", ".join(data) or "the data set", eps=f" ({eps})" if eps else "")
    classes = {model.classes for model in results if model.classes}
    chance = "".join(f" Chance is {100 / count:.1f}%." for count in classes) if len(classes) == 1 else ""
    return f"{words}{chance}{f' {BOLD}' if len(results) > 1 else ''}"


def _measured(contents: Contents) -> list[Markup]:
    rows = [
        (
            Markup("{}<small>{}</small>").format(name, source) if source else name,
            settings or "none",
            images,
            norms or "-",
            seconds or "-",
        )
        for name, source, settings, images, norms, seconds in measurements(contents)
    ]
    attacks = [attack for model in contents.results for attack in model.attacks]
    folded = any(attack.settings.get("attacked") == "prepared" for attack in attacks)
    return [wide(grid(HEADS, rows, words=True)), note(f"{UNITS} {FOLDED}" if folded else UNITS)] if rows else []
