"""Tell what was done, with which configuration and versions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from markupsafe import Markup

from rnas.reports.blocks import definitions, details, grid, note, wide
from rnas.reports.facts import stage
from rnas.reports.sections.base import Page, Section

if TYPE_CHECKING:
    from rnas.run.contents import Contents

__all__ = ["provenance"]

HEADS = ("Stage", "What", "State", "Time, from beginning to end", "Ended")


def provenance(page: Page) -> Section:
    """The section."""
    rows = [
        (name, what, state, time or "-", ended or "-")
        for name, what, state, time, ended in map(stage, page.contents.parts)
    ]
    body = [wide(grid(HEADS, rows, words=True)) if rows else note("No stage of the run has begun.")]
    settings = [
        details(f"Configuration of {name}", Markup("<pre>{}</pre>").format(text))
        for name, text in _configurations(page.contents)
    ]
    missing = "Configuration left out: there is neither a config.yaml nor one in a manifest.json."
    body += settings or [note(missing)]
    versions = page.manifest.get("versions")
    if isinstance(versions, dict) and versions:
        body.append(definitions(versions.items()))
    else:
        body.append(note("Versions left out: there is no manifest.json that holds them."))
    return Section.of("provenance", "Stages, configuration, versions", body)


def _configurations(contents: Contents) -> list[tuple[str, str]]:
    """The whole run's configuration, or those of the parts where there is no run around them."""
    if contents.configuration:
        return [("the run", contents.configuration)]
    return [(part.name, part.configuration) for part in contents.parts if part.configuration]
