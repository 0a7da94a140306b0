"""The report: figures and one page that holds them all and asks nothing of the network."""

from __future__ import annotations

from importlib import resources
from typing import TYPE_CHECKING, Any

import jinja2

from rnas.reports.benchmark import benchmark_html
from rnas.reports.facts import facts, headline, measurements, sources, stage
from rnas.reports.figures.adversarial import adversarial_figure, adversarial_files
from rnas.reports.figures.cells import draw_genotype
from rnas.reports.figures.corruptions import corrupted_figure, corruptions_figure
from rnas.reports.figures.curves import search_figure, training_figure
from rnas.reports.figures.dots import accuracy_figure
from rnas.reports.figures.style import cell_name
from rnas.reports.gallery import Gallery, Picture
from rnas.reports.ledger import results_csv
from rnas.reports.searches import SearchSection, search_section
from rnas.reports.tables import html_table
from rnas.reports.trained import Measurement, measurement
from rnas.reports.wording import describe_cell, describe_eps
from rnas.run.contents import Contents, Part, read_folder
from rnas.run.files import refuse_link, write_atomically

if TYPE_CHECKING:
    from pathlib import Path

    from matplotlib.figure import Figure

__all__ = ["report"]


def report(folder: Path) -> Path:
    """Write ``report.html``, ``results.csv`` and ``figures/*.png`` and ``*.svg`` into a folder, from what it holds.

    The same content gives the same files, byte for byte. A section without data is left out, and says why.

    Args:
        folder: a run's folder, finished or not; or a folder with a search and models, or one of these alone.

    Returns:
        The path of the page.

    Raises:
        RunError: if the folder does not exist, has nothing to report, cannot be written, or a file in it is damaged.
    """
    contents = read_folder(folder)
    refuse_link(folder / "figures")
    gallery = Gallery(folder / "figures")
    manifest, of, made_by = sources(contents)
    attacks = [attack for model in contents.results for attack in model.attacks]
    page = _template().render(
        title=headline(contents),
        only_evaluated=contents.only_evaluated,
        facts=facts(contents, manifest, of, made_by),
        parts=[stage(part) for part in contents.parts],
        unfinished=bool(contents.manifest and not contents.manifest.get("finished"))
        or not all(part.ended for part in contents.parts),
        unevaluated=[part.name for part in contents.parts if not part.complete],
        results=contents.results,
        table=html_table(contents.results),
        measurements=measurements(contents),
        folded=any(attack.settings.get("attacked") == "prepared" for attack in attacks),
        chance={model.classes for model in contents.results if model.classes},
        data=sorted({model.data for model in contents.results if model.data}),
        accuracy=_accuracy(contents, gallery),
        corruptions=_corruptions(contents, gallery),
        adversarial=_adversarial(contents, gallery),
        eps=describe_eps(contents.results),
        cells=_cells(contents, gallery),
        searches=_searches(contents, gallery),
        trained=_trained(contents),
        benchmarks=[(part.name, benchmark_html(part)) for part in contents.benchmarks if part.ended],
        losses=_losses(contents, gallery),
        configurations=_configurations(contents),
        versions=manifest.get("versions") if isinstance(manifest.get("versions"), dict) else {},
    )
    if contents.results:
        write_atomically(folder / "results.csv", results_csv(contents))
    path = folder / "report.html"
    write_atomically(path, page)
    return path


def _template() -> jinja2.Template:
    text = resources.files("rnas.reports").joinpath("page.html.jinja").read_text(encoding="utf-8")
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.from_string(text)


def _accuracy(contents: Contents, gallery: Gallery) -> Picture | None:
    if not any(model.attacks for model in contents.results):
        return None
    return gallery.add(
        accuracy_figure(contents.results),
        "accuracy",
        "Accuracy of every model under every attack, with 95% intervals; the numbers are those of the table.",
    )


def _adversarial(contents: Contents, gallery: Gallery) -> list[Picture]:
    """The saved images of each model under each attack."""
    pictures = []
    for part in contents.models:
        classes = part.results.class_names if part.results else ()
        for path in adversarial_files(part.path):
            figure, words = adversarial_figure(path, classes)
            result = part.results.attack(path.stem) if part.results else None
            who = f"{part.name} under {result.title if result else path.stem}"
            name = f"adversarial_{part.name}_{path.stem}"
            pictures.append(gallery.add(figure, name, f"{who}. {words}.", f"{who}. {words}."))
        if (corrupted := corrupted_figure(part.path, classes)) is not None:
            figure, words = corrupted
            words = f"{part.name} under common corruptions: {words}."
            pictures.append(gallery.add(figure, f"corrupted_{part.name}", words, words))
    return pictures


def _corruptions(contents: Contents, gallery: Gallery) -> Picture | None:
    figure = corruptions_figure(contents.results)
    words = "Accuracy in percent under each common corruption at each severity."
    return None if figure is None else gallery.add(figure, "corruptions", words, words)


def _cells(contents: Contents, gallery: Gallery) -> list[Picture]:
    """Each distinct genotype once, with the names of those that have it."""
    owners: dict[Any, list[Part]] = {}
    for part in contents.parts:
        if part.genotype is not None:
            owners.setdefault(part.genotype, []).append(part)
    pictures = []
    for genotype, parts in owners.items():
        names = " and ".join(part.name for part in parts)
        words = "; ".join(f"{cell_name(kind)}: {describe_cell(cell)}" for kind, cell in genotype.cells)
        name = "cells" if len(owners) == 1 else f"cells_{parts[0].name}"
        pictures.append(gallery.add(draw_genotype(genotype), name, f"Drawing of the cells. {words}.", f"Of {names}."))
    return pictures


def _trained(contents: Contents) -> list[Measurement]:
    found = [part for part in contents.models if part.genotype is not None] if contents.searches else []
    # A measurement knows networks by their folders, the page of several runs by longer names.
    searched = {name for part in found for name in (part.name, part.path.name)}
    return [measurement(part, searched) for part in contents.measurements if part.ended]


def _searches(contents: Contents, gallery: Gallery) -> list[SearchSection]:
    several = len(contents.searches) > 1
    return [search_section(search, gallery, f"_{search.name}" if several else "") for search in contents.searches]


def _losses(contents: Contents, gallery: Gallery) -> list[Picture]:
    pictures = []
    for part in contents.parts:
        figure = _curves(part)
        if figure is not None:
            what = f"Training of {part.name}"
            name = f"losses_{part.name}"
            if part.kind == "search":
                several = len(contents.searches) > 1
                what, name = (f"Search {part.name}", name) if several else ("Search", "losses_search")
            pictures.append(gallery.add(figure, name, f"{what}: loss and accuracy over the steps.", f"{what}."))
    return pictures


def _curves(part: Part) -> Figure | None:
    if part.kind == "search":
        return search_figure(part.metrics)
    return training_figure(part.metrics, attacked=part.setting("training", "objective") not in (None, "standard"))


def _configurations(contents: Contents) -> list[tuple[str, str]]:
    """The whole run's configuration, or those of the parts where there is no run around them."""
    if contents.configuration:
        return [("the run", contents.configuration)]
    return [(part.name, part.configuration) for part in contents.parts if part.configuration]
