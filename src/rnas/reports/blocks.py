"""The blocks of the page, as HTML: what is text in them is escaped, what is markup already stays as it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from markupsafe import Markup

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rnas.reports.gallery import Picture

__all__ = ["code", "definitions", "details", "figure", "grid", "left_out", "listing", "note", "paragraph", "wide"]


def paragraph(text: str, kind: str = "") -> Markup:
    """A paragraph; `kind` is "note" for a small one, "state" for a warning."""
    opening = Markup('<p class="{}">').format(kind) if kind else Markup("<p>")
    return Markup("{}{}</p>").format(opening, text)


def note(text: str) -> Markup:
    """A small paragraph."""
    return paragraph(text, "note")


def left_out(reason: str) -> Markup:
    """Why something is not there."""
    return note(f"Left out: {reason}.")


def code(text: str) -> Markup:
    """A name or a command within a text."""
    return Markup("<code>{}</code>").format(text)


def figure(picture: Picture) -> Markup:
    """A picture with its caption and the names of its files."""
    return Markup(
        '<figure>\n<img src="{}" alt="{}">\n'
        "<figcaption>{} Files: <code>figures/{}.svg</code>, <code>.png</code>.</figcaption>\n</figure>\n"
    ).format(picture.source, picture.alternative, picture.caption, picture.name)


def grid(heads: Sequence[str], rows: Iterable[Sequence[str]], *, words: bool = False, sides: bool = False) -> Markup:
    """A table.

    Args:
        heads: of the columns.
        rows: of cells, as many as heads.
        words: whether its cells are words, which stand to the left, rather than numbers.
        sides: whether the first cell of a row is its head.
    """
    head = Markup("").join(Markup('<th scope="col">{}</th>').format(text) for text in heads)
    body = Markup("").join(Markup("<tr>{}</tr>\n").format(_cells(row, sides=sides)) for row in rows)
    opening = Markup('<table class="words">') if words else Markup("<table>")
    return Markup("{}\n<thead><tr>{}</tr></thead>\n<tbody>\n{}</tbody>\n</table>").format(opening, head, body)


def _cells(row: Sequence[str], *, sides: bool) -> Markup:
    side = [Markup('<th scope="row">{}</th>').format(row[0])] if sides else []
    return Markup("").join([*side, *(Markup("<td>{}</td>").format(text) for text in row[len(side) :])])


def wide(table: Markup) -> Markup:
    """A table that can be moved sideways where the page is too narrow for it."""
    return Markup('<div class="wide">{}</div>').format(table)


def definitions(pairs: Iterable[tuple[str, str]]) -> Markup:
    """Names and what stands for them."""
    lines = Markup("").join(Markup("<dt>{}</dt><dd>{}</dd>\n").format(name, value) for name, value in pairs)
    return Markup("<dl>\n{}</dl>").format(lines)


def listing(items: Iterable[str]) -> Markup:
    """A list with a line for each item."""
    return Markup("<ul>\n{}</ul>").format(Markup("").join(Markup("<li>{}</li>\n").format(item) for item in items))


def details(summary: str, content: Markup) -> Markup:
    """A block that is shown when its summary is clicked, and printed."""
    return Markup("<details>\n<summary>{}</summary>\n{}\n</details>").format(summary, content)
