"""The page of a study: its front, what mattered, all trials, and how the chosen one is repeated."""

from __future__ import annotations

from typing import TYPE_CHECKING

from markupsafe import Markup

from rnas.reports.blocks import code, definitions, details, figure, grid, note, paragraph, wide
from rnas.reports.facts import facts
from rnas.reports.figures.front import front_figure, importance_figure, parallel_figure
from rnas.reports.front import by_standing, interval, repetition, shown, why
from rnas.reports.gallery import Gallery
from rnas.reports.rendering import render
from rnas.reports.sections.base import Section
from rnas.run.contents import Contents
from rnas.run.files import manifest_in, read_bytes, refuse_link, write_atomically
from rnas.run.study_results import State, read_study

if TYPE_CHECKING:
    from pathlib import Path

    from rnas.run.study_results import StudyResults

__all__ = ["study_page"]

FRONT = """\
A trial is on the front if no other is nowhere worse and somewhere better. Accuracies have Wilson 95% intervals: a
trial that is dominated by its numbers, but by no trial beyond all intervals, may belong to the front all the same. The
intervals are of the test images alone; another seed of the same settings moves a trial, too."""

IMPORTANCE = """\
The share of the variance of each objective that a setting explains by itself, among the values that were tried. With
few trials it is a hint, not a measurement."""

PARALLEL = """\
Each line is a trial. On the axes of objectives better is up; words stand in the order of the alphabet."""


def study_page(folder: Path) -> Path:
    """Write ``report.html`` and ``figures/`` of a study, from its results.json.

    Args:
        folder: the study's.

    Returns:
        The path of the page.

    Raises:
        RunError: if there are no results, they are damaged, or the folder cannot be written.
    """
    results = read_study(folder)
    refuse_link(folder / "figures")
    gallery = Gallery(folder / "figures")
    manifest = manifest_in(folder)
    made = [front(results, gallery), choice(results, folder), important(results, gallery), trials(results, gallery)]
    text = render(
        title=f"Study {folder.resolve().name}",
        unfinished=not results.ended,
        facts=[
            *facts(Contents(folder, manifest, "", (), ()), manifest, ""),
            ("Trials", counted(results)),
            ("Sampler", results.sampler),
        ],
        sections=[*made, settings(results, manifest, folder)],
    )
    path = folder / "report.html"
    write_atomically(path, text)
    return path


def counted(results: StudyResults) -> str:
    """How many trials there are, in words."""
    words = [f"{len(results.finished)} finished of {results.wanted}"]
    for state in (State.FAILED, State.RUNNING):
        count = len([trial for trial in results.trials if trial.state is state])
        words += [f"{count} {state}"] if count else []
    return ", ".join(words)


def front(results: StudyResults, gallery: Gallery) -> Section:
    """The front, drawn and as a table."""
    drawn = front_figure(results)
    if drawn is None:
        return Section.of("front", "Front", [], absent="no trial has finished")
    heads = ("Trial", "Standing", *(objective.title for objective in results.objectives), *map(last, results.space))
    rows = [
        (
            str(trial.number) + (" (chosen)" if trial.number == results.chosen else ""),
            str(trial.standing or ""),
            *(
                Markup("{}<small>{}</small>").format(one.words(trial.values[one.name].value), interval(one, trial))
                for one in results.objectives
            ),
            *(shown(trial.settings[key]) for key in results.space),
        )
        for trial in by_standing(results)
    ]
    picture = gallery.add(
        drawn, "front", "All trials by their objectives.", "Numbers are those of trials on the front."
    )
    return Section.of("front", "Front", [paragraph(FRONT), figure(picture), wide(grid(heads, rows, sides=True))])


def last(key: str) -> str:
    """A setting's name without its groups."""
    return key.rpartition(".")[2]


def choice(results: StudyResults, folder: Path) -> Section:
    """The chosen trial, why, and its command."""
    plugins = [str(name) for name in manifest_in(folder).get("plugins", [])]
    taken = results.choice
    if taken is None:
        return Section.of("chosen", "Chosen trial", [], absent="no trial has finished")
    body = [
        paragraph(why(results)),
        definitions((code(key), shown(value)) for key, value in taken.settings.items()),
        paragraph("This repeats it; its run is there already, for every command that takes a run directory:"),
        Markup("<pre>{}\nrnas report {}</pre>").format(repetition(results, folder, plugins), folder / taken.run),
    ]
    return Section.of("chosen", "Chosen trial", body)


def important(results: StudyResults, gallery: Gallery) -> Section:
    """What mattered."""
    drawn = importance_figure(results)
    if drawn is None:
        absent = "there are too few finished trials, or the study has not ended"
        return Section.of("importance", "Importance of settings", [], absent=absent)
    picture = gallery.add(drawn, "importance", "Share of each setting in each objective.", IMPORTANCE)
    return Section.of(
        "importance", "Importance of settings", [figure(picture), note(f"Evaluated by {results.evaluator}.")]
    )


def trials(results: StudyResults, gallery: Gallery) -> Section:
    """All trials as lines, and those that failed."""
    drawn = parallel_figure(results)
    body = []
    if drawn is not None:
        body.append(figure(gallery.add(drawn, "parallel", "Trials across settings and objectives.", PARALLEL)))
    failed = [trial for trial in results.trials if trial.state is State.FAILED]
    if failed:
        rows = [
            (
                str(trial.number),
                ", ".join(f"{last(key)} {shown(value)}" for key, value in trial.settings.items()),
                trial.reason,
            )
            for trial in failed
        ]
        body.append(wide(grid(("Failed trial", "Settings", "Why"), rows, words=True)))
    return Section.of("trials", "All trials", body, absent="no trial has finished")


def settings(results: StudyResults, manifest: dict[str, object], folder: Path) -> Section:
    """The space, the configuration and the versions."""
    try:
        text = read_bytes(folder / "config.yaml").decode("utf-8", errors="replace").strip()
    except FileNotFoundError:
        text = ""
    versions = manifest.get("versions")
    body = [
        wide(grid(("Setting", "Tried"), [(code(key), words) for key, words in results.space.items()], words=True)),
        note("Every trial, with its command, seed, commit and hardware, stands in trials.csv."),
        *([details("Configuration of the study", Markup("<pre>{}</pre>").format(text))] if text else []),
        *([definitions((str(k), str(v)) for k, v in versions.items())] if isinstance(versions, dict) else []),
    ]
    return Section.of("provenance", "Space, configuration, versions", body)
