"""The report: figures and one page that holds them all and asks nothing of the network."""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING, Any

import jinja2

from rnas.errors import RunError
from rnas.files import refuse_link, write_atomically
from rnas.reports.adversarial import adversarial_figure, adversarial_files
from rnas.reports.alpha import alpha_figure, trajectories
from rnas.reports.cells import draw_genotype
from rnas.reports.corruptions import corrupted_figure, corruptions_figure
from rnas.reports.curves import search_figure, training_figure, vulnerability_figure
from rnas.reports.dots import accuracy_figure
from rnas.reports.facts import facts, headline, measurements, outcome, sources, stage
from rnas.reports.figures import cell_name, save
from rnas.reports.ledger import results_csv
from rnas.reports.reading import Contents, Part, read_folder
from rnas.reports.tables import html_table
from rnas.reports.wording import describe_eps

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from matplotlib.figure import Figure

    from rnas.genotype import Cell

__all__ = ["report"]


@dataclass(frozen=True)
class Picture:
    """A figure as the page shows it.

    Args:
        source: its data URI.
        alternative: what it shows, for those who cannot see it.
        caption: stands below it.
        name: its files' name, without suffix.
    """

    source: str
    alternative: str
    caption: str
    name: str


class Gallery:
    """Saves figures into a folder under names that are safe and distinct.

    Args:
        folder: the folder of the figures.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._names: set[str] = set()

    def add(self, figure: Figure, name: str, alternative: str, caption: str = "") -> Picture:
        """Save a figure.

        Args:
            figure: the figure.
            name: for its files; what a file's name should not hold becomes an underscore.
            alternative: what it shows, in one sentence.
            caption: stands below it.
        """
        safe = name = re.sub(r"[^A-Za-z0-9_-]+", "_", name)
        count = 2
        while safe in self._names:
            safe, count = f"{name}_{count}", count + 1
        self._names.add(safe)
        return Picture(save(figure, self._folder, safe), alternative, caption, safe)


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
    search = contents.search
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
        alpha=_alpha(search, gallery) if search else [],
        vulnerability=_vulnerability(search, gallery) if search else None,
        search=search,
        other_searches=contents.other_searches,
        outcome=outcome(search) if search else [],
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
        words = "; ".join(f"{cell_name(kind)}: {_in_words(cell)}" for kind, cell in genotype.cells)
        name = "cells" if len(owners) == 1 else f"cells_{parts[0].name}"
        pictures.append(gallery.add(draw_genotype(genotype), name, f"Drawing of the cells. {words}.", f"Of {names}."))
    return pictures


def _in_words(cell: Cell) -> str:
    """A cell for those who cannot see its drawing, with the drawing's names."""
    names = [f"c_(k-{cell.inputs - i})" for i in range(cell.inputs)] + [f"node {i}" for i in range(len(cell.nodes))]
    return ", ".join(
        f"{names[index]} is " + (" plus ".join(f"{edge.op} of {names[edge.source]}" for edge in edges) or "unused")
        for index, edges in enumerate(cell.nodes, start=cell.inputs)
    )


def _alpha(search: Part, gallery: Gallery) -> list[Picture]:
    pictures = []
    for trajectory in trajectories(search.metrics, _operations(search)):
        kinds = search.genotype.kinds if search.genotype else ()
        cell = search.genotype[trajectory.kind] if search.genotype and trajectory.kind in kinds else None
        words = cell_name(trajectory.kind)
        pictures.append(
            gallery.add(
                alpha_figure(trajectory, cell),
                f"alpha_{trajectory.kind}",
                f"Probability of every operation on every edge of the {words} over the steps of the search.",
                f"{words[:1].upper()}{words[1:]}.",
            )
        )
    return pictures


def _operations(search: Part) -> Sequence[str] | None:
    names = search.summary.get("operations")
    if names is None:
        return None
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise RunError(f"{search.path / 'results.json'}: 'operations' should be a list of names, is {names!r}"[:200])
    return names


def _vulnerability(search: Part, gallery: Gallery) -> Picture | None:
    figure = vulnerability_figure(search.metrics, trajectories(search.metrics, _operations(search)))
    if figure is None:
        return None
    words = "Vulnerability F and its bound H over the steps of the search, and the probability of the operation none."
    return gallery.add(figure, "vulnerability", words)


def _losses(contents: Contents, gallery: Gallery) -> list[Picture]:
    pictures = []
    for part in contents.parts:
        figure = search_figure(part.metrics) if part.kind == "search" else training_figure(part.metrics)
        if figure is not None:
            what = "Search" if part.kind == "search" else f"Training of {part.name}"
            name = "losses_search" if part.kind == "search" else f"losses_{part.name}"
            pictures.append(gallery.add(figure, name, f"{what}: loss and accuracy over the steps.", f"{what}."))
    return pictures


def _configurations(contents: Contents) -> list[tuple[str, str]]:
    """The whole run's configuration, or those of the parts where there is no run around them."""
    if contents.configuration:
        return [("the run", contents.configuration)]
    return [(part.name, part.configuration) for part in contents.parts if part.configuration]
