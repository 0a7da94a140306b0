"""The robust-accuracy table, as HTML, as Markdown and for the terminal; one content, three appearances."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from markupsafe import Markup, escape
from rich.table import Table
from rich.text import Text

from rnas.reports.figures.style import drawable
from rnas.reports.wording import describe_conditions, describe_eps, describe_images, describe_settings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rnas.run.attack_results import AttackResult
    from rnas.run.results import ModelResults

__all__ = ["Column", "columns", "html_table", "markdown", "markdown_table", "percent", "rich_table"]

_WIDE: Final = 7  # columns of numbers that fit a page beside the names
_MOST_MODELS: Final = 4  # that a terminal has room for side by side


@dataclass(frozen=True)
class Column:
    """An attack in the table.

    Args:
        name: the attack.
        title: its heading.
        note: the number of images as `describe_images` says it; empty if models differ in it.
        cells: each model's result, None where the attack was not run.
        best: the models with the highest accuracy; empty unless two or more were measured
            in the same way, same images, same settings of the attack, and differ.
    """

    name: str
    title: str
    note: str
    cells: tuple[AttackResult | None, ...]
    best: frozenset[int]


def columns(models: Sequence[ModelResults]) -> tuple[Column, ...]:
    """The attacks of the models as columns, mildest first."""
    found = {attack.name: attack.order for model in models for attack in model.attacks}
    return tuple(_column(models, name) for name in sorted(found, key=found.__getitem__))


def percent(result: AttackResult) -> tuple[str, str]:
    """Accuracy and interval as text: ``("78.1%", "[72.7, 82.8]")``."""
    return f"{100 * result.accuracy:.1f}%", f"[{100 * result.low:.1f}, {100 * result.high:.1f}]"


def html_table(models: Sequence[ModelResults]) -> Markup:
    """The table as an HTML ``<table>``, attacks in rows where they would be too many columns; names are escaped."""
    table = columns(models)
    attacks = [Markup("{}{}").format(column.title, _small(column.note)) for column in table]
    names = []
    cells = []
    conditions = describe_conditions(models)
    for index, model in enumerate(models):
        size = "" if model.parameters is None else f"{model.parameters:,} parameters"
        names.append(Markup("{}{}{}").format(model.name, _small(size), _small(conditions[index])))
        cells.append([_html_cell(column, index) for column in table])
    corner, heads, sides = "Model", attacks, names
    if _lies(models, table):
        corner, heads, sides, cells = "Attack", names, attacks, [list(row) for row in zip(*cells, strict=True)]
    head = Markup("").join(Markup('<th scope="col">{}</th>').format(text) for text in (corner, *heads))
    rows = [
        Markup('<tr><th scope="row">{}</th>{}</tr>').format(side, Markup("").join(row))
        for side, row in zip(sides, cells, strict=True)
    ]
    return Markup("<table><thead><tr>{}</tr></thead><tbody>{}</tbody></table>").format(head, Markup("\n").join(rows))


def _lies(models: Sequence[ModelResults], table: Sequence[Column]) -> bool:
    """Whether attacks stand in rows: there are too many for columns, and fewer models."""
    return len(table) > max(_WIDE, len(models))


def _html_cell(column: Column, index: int) -> Markup:
    result = column.cells[index]
    if result is None:
        return Markup('<td class="absent">not run</td>')
    value, interval = percent(result)
    shown = Markup("<strong>{}</strong>").format(value) if index in column.best else escape(value)
    notes = Markup("").join(map(_small, [interval, *_own(column, result)]))
    return Markup("<td>{}{}</td>").format(shown, notes)


def markdown_table(models: Sequence[ModelResults]) -> str:
    """The table as Markdown, attacks in rows where they would be too many columns.

    Characters that Markdown or HTML would read as markup are escaped.

    Args:
        models: the results of each, as `rnas.run.results.read_results` reads them.
    """
    table = columns(models)
    lies = _lies(models, table)
    heads = ["Attack" if lies else "Model", "Parameters"]
    heads += [markdown(column.title) + (f" ({column.note})" if column.note else "") for column in table]
    lines = [heads]
    conditions = describe_conditions(models)
    for index, model in enumerate(models):
        beside = f" ({markdown(conditions[index])})" if conditions[index] else ""
        cells = [markdown(model.name) + beside, "" if model.parameters is None else f"{model.parameters:,}"]
        for column in table:
            result = column.cells[index]
            if result is None:
                cells.append("not run")
                continue
            value, interval = percent(result)
            shown = f"**{value}**" if index in column.best else value
            cells.append(" ".join([shown, interval, *_own(column, result)]))
        lines.append(cells)
    if lies:
        lines = [list(line) for line in zip(*lines, strict=True)]
    lines.insert(1, ["---", *("---:" for _ in lines[0][1:])])
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def rich_table(models: Sequence[ModelResults]) -> Table:
    """The table for a terminal of 80 columns: a row for each attack, with many models one for each model under it."""
    if len(models) > _MOST_MODELS:
        return _long_table(models)
    shown = Table(title=_title(models), title_justify="left")
    shown.add_column("Attack")
    shown.add_column("Images", justify="right")
    for model, condition in zip(models, describe_conditions(models), strict=True):
        # A name that is cut off may be that of another model, too.
        heading = Text(drawable(model.name))
        if condition:
            heading.append(f"\n{drawable(condition)}", style="not bold")
        shown.add_column(heading, justify="right", overflow="fold")
    for column in columns(models):
        cells = []
        for index, result in enumerate(column.cells):
            if result is None:
                cells.append(Text("not run", style="dim"))
                continue
            value, interval = percent(result)
            text = Text(value, style="bold" if index in column.best else "")
            cells.append(text.append(" " + " ".join([interval, *_own(column, result)]), style="not bold dim"))
        count = column.note.replace(" images, each corrupted ", " x ").removesuffix(" times").removesuffix(" images")
        shown.add_row(Text(drawable(column.title)), count, *cells)
    sizes = ["" if model.parameters is None else f"{model.parameters:,}" for model in models]
    if any(sizes):
        shown.add_section()
        shown.add_row("Parameters", "", *sizes)
    return shown


def _title(models: Sequence[ModelResults]) -> Text:
    # Where the models differ in eps, their headings say so.
    eps = describe_eps(models) if len({model.radius for model in models if model.eps}) == 1 else ""
    return Text(drawable(", ".join(filter(None, ["Accuracy with Wilson 95% intervals", eps]))))


def _long_table(models: Sequence[ModelResults]) -> Table:
    """A row for each attack on each model."""
    shown = Table("Attack", "Model", title=_title(models), title_justify="left")
    shown.add_column("Images", justify="right")
    shown.add_column("Accuracy", justify="right")
    conditions = describe_conditions(models)
    names = [
        Text(drawable(f"{model.name} ({condition})" if condition else model.name), overflow="fold")
        for model, condition in zip(models, conditions, strict=True)
    ]
    for column in columns(models):
        heading = column.title
        for index, result in enumerate(column.cells):
            if result is not None:
                value, interval = percent(result)
                accuracy = Text(value, style="bold" if index in column.best else "")
                accuracy.append(f" {interval}", style="not bold dim")
                shown.add_row(Text(drawable(heading)), names[index], f"{result.images}", accuracy)
                heading = ""
        shown.add_section()
    heading = "Parameters"
    for name, model in zip(names, models, strict=True):
        if model.parameters is not None:
            shown.add_row(heading, name, "", f"{model.parameters:,}")
            heading = ""
    return shown


def _column(models: Sequence[ModelResults], name: str) -> Column:
    cells = tuple(model.attack(name) for model in models)
    there = [(index, model, cell) for index, (model, cell) in enumerate(zip(models, cells, strict=True)) if cell]
    notes = {describe_images(cell, model.images) for _, model, cell in there}
    best: frozenset[int] = frozenset()
    # A comparison needs two, and for both the same images and the same attack.
    conditions = {(model.fingerprint, describe_settings(cell.settings)) for _, model, cell in there}
    differ = len({cell.accuracy for _, _, cell in there}) > 1
    if differ and len(notes) == 1 and len(conditions) == 1:
        # An accuracy that the sanity checks doubt is not a high one.
        believed = [(index, cell.accuracy) for index, model, cell in there if not model.doubts]
        highest = max((accuracy for _, accuracy in believed), default=None)
        best = frozenset(index for index, accuracy in believed if accuracy == highest)
    note = notes.pop() if len(notes) == 1 else ""
    # Once is enough; in a collection the title would count an image once for every member.
    title = re.sub(r" \(\d+ of \d+ images\)$", "", there[0][2].title)
    return Column(name, title, note, cells, best)


def _own(column: Column, result: AttackResult) -> list[str]:
    """The number of images, where the heading cannot say it for all models."""
    return [] if column.note else [describe_images(result)]


def _small(text: str) -> Markup:
    return Markup("<small>{}</small>").format(text) if text else Markup("")


def markdown(text: str) -> str:
    """Text as Markdown in one line: characters that Markdown or HTML would read as markup are escaped."""
    one_line = " ".join(text.split())
    one_line = re.sub(r"&(?=#?\w+;)", "&amp;", one_line).replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\`*_\[\]|])", r"\\\1", one_line)
