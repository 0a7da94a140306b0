"""The page around its sections."""

from __future__ import annotations

from importlib import resources
from typing import TYPE_CHECKING

import jinja2

from rnas.reports.blocks import code

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rnas.reports.sections.base import Section

__all__ = ["render"]


def render(
    *,
    title: str,
    facts: Sequence[tuple[str, str]],
    sections: Sequence[Section],
    unfinished: bool,
    unevaluated: Sequence[str] = (),
) -> str:
    """A page as HTML.

    Args:
        title: its heading.
        facts: what was run, when, on what, by name.
        sections: in order.
        unfinished: whether more will come.
        unevaluated: names of what is trained and not attacked yet.
    """
    text = resources.files("rnas.reports").joinpath("page.html.jinja").read_text(encoding="utf-8")
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.from_string(text).render(
        title=title,
        unfinished=unfinished,
        unevaluated=unevaluated,
        facts=[(name, code(value) if name in ("Command", "Commit") else value) for name, value in facts],
        sections=sections,
    )
