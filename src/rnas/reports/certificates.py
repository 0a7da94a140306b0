"""What is proved beside what attacks leave: one table, for the terminal, as HTML and as Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from rnas.reports.blocks import grid
from rnas.reports.figures.style import drawable
from rnas.reports.tables import markdown
from rnas.reports.wording import describe_distance

if TYPE_CHECKING:
    from markupsafe import Markup

    from rnas.run.certificate_results import CertificateResult
    from rnas.run.results import ModelResults

__all__ = ["certificates_html", "certificates_markdown", "certificates_table", "contradictions"]

HEADS = ("Model", "Proved by", "Ball", "Images", "Clean", "Certified", "<= robust <=", "Attacked")
NUMBERS = 3
"""The first column of numbers."""


def certificate_lines(models: Sequence[ModelResults]) -> list[tuple[str, ...]]:
    """The cells below `HEADS`, a line for each model and method; a model's name stands in its first line only."""
    lines: list[tuple[str, ...]] = []
    for model in models:
        name = model.name
        for row in model.certificates:
            lines.append((name, row.title, ball(row), f"{row.images}", share(row.clean), *bracketed(row)))
            name = ""
    return lines


def ball(row: CertificateResult) -> str:
    """The ball in which something is proved: ``"Linf 8/255"``."""
    return f"{row.norm} {describe_distance(row.eps, 4)}"


def share(value: float) -> str:
    """A share in percent, rounded so that a bound stays a bound: ``"78.1%"``."""
    return f"{100 * value:.1f}%"


def bracketed(row: CertificateResult) -> tuple[str, str, str]:
    """What is certified, a sign, and what attacks leave."""
    interval = f"[{100 * row.low:.1f}, {100 * row.high:.1f}]"
    certified, bracket = f"{share(row.accuracy)} {interval}", row.bracket
    if bracket is None:
        return certified, "<= robust", "-"
    if bracket.images == row.images:
        return certified, "<= robust <=", share(bracket.attacked)
    return (
        certified,
        "<= robust <=",
        f"{share(bracket.attacked)} of {bracket.images} ({share(bracket.certified)} certified)",
    )


def contradictions(models: Sequence[ModelResults]) -> Iterator[str]:
    """A line for each contradiction: images that are proved to be robust, and that an attack broke."""
    for model in models:
        for row in model.certificates:
            if row.certain and row.bracket is not None and row.bracket.broken:
                yield (
                    f"{model.name}: an attack broke {row.bracket.broken} of the images within the radius proved of "
                    f"them ({row.title}): proof or attack is wrong, please report it"
                )


def certificates_table(models: Sequence[ModelResults]) -> Table:
    """The table for a terminal of 80 columns."""
    shown = Table(title="Certified <= robust <= attacked accuracy", title_justify="left")
    for index, head in enumerate(HEADS):
        if head not in ("<= robust <=", "Clean"):
            shown.add_column(head, justify="right" if index >= NUMBERS else "left", overflow="fold")
    for line in certificate_lines(models):
        name, title, radius, images, _, certified, _, attacked = line
        value, _, interval = certified.partition(" ")
        text = Text(value, style="bold").append(f" {interval}", style="not bold dim")
        shown.add_row(Text(drawable(name)), Text(title), radius, images, text, attacked)
    return shown


def certificates_html(models: Sequence[ModelResults]) -> Markup:
    """The table as HTML; names are escaped."""
    return grid(HEADS, certificate_lines(models), sides=True)


def certificates_markdown(models: Sequence[ModelResults]) -> str:
    """The table as Markdown; characters that Markdown or HTML would read as markup are escaped."""
    rule = ["---"] * NUMBERS + ["---:"] * (len(HEADS) - NUMBERS)
    rows = [HEADS, rule, *(map(markdown, line) for line in certificate_lines(models))]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)
