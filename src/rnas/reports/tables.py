"""The robust-accuracy table, as HTML, as Markdown and for the terminal; one content, three appearances."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from markupsafe import Markup, escape
from rich.table import Table
from rich.text import Text

from rnas.reports.figures import plain
from rnas.reports.wording import describe_eps, describe_settings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rnas.reports.results import AttackResult, ModelResults

__all__ = ["Column", "columns", "html_table", "markdown", "markdown_table", "percent", "rich_table"]

#: Mildest first, as the paper's tables, and PGD of any strength where PGD-20 is; at "" are attacks that are not named
#: here, in the order in which they were run, and the worst cases over all of them come last.
_ORDER: Final = ("clean", "fgsm", "pgd", "cw", "autoattack", "", "worst_case", "worst_case_l2")


@dataclass(frozen=True)
class Column:
    """An attack in the table.

    Args:
        name: the attack.
        title: its heading.
        note: the number of images, "64 of 256 images" where the attack ran on a subset; empty if models differ in it.
        cells: each model's result, None where the attack was not run.
        best: the models with the highest accuracy; empty unless two or more were measured
            in the same way: same images, same settings of the attack.
    """

    name: str
    title: str
    note: str
    cells: tuple[AttackResult | None, ...]
    best: frozenset[int]


def columns(models: Sequence[ModelResults]) -> tuple[Column, ...]:
    """The attacks of the models as columns, mildest first."""
    found = {attack.name: attack.title for model in models for attack in model.attacks}
    return tuple(_column(models, name) for name in sorted(found, key=_place))


def _place(name: str) -> int:
    """Where an attack's column stands."""
    name = re.sub(r"^pgd\d.*", "pgd", name)
    return _ORDER.index(name if name in _ORDER else "")


def percent(result: AttackResult) -> tuple[str, str]:
    """Accuracy and interval as text: ``("78.1%", "[72.7, 82.8]")``."""
    return f"{100 * result.accuracy:.1f}%", f"[{100 * result.low:.1f}, {100 * result.high:.1f}]"


def html_table(models: Sequence[ModelResults]) -> Markup:
    """The table as an HTML ``<table>``; names are escaped."""
    table = columns(models)
    head = Markup("").join(
        Markup('<th scope="col">{}{}</th>').format(column.title, _small(column.note)) for column in table
    )
    rows = []
    for index, model in enumerate(models):
        cells = []
        for column in table:
            result = column.cells[index]
            if result is None:
                cells.append(Markup('<td class="absent">not run</td>'))
                continue
            value, interval = percent(result)
            shown = Markup("<strong>{}</strong>").format(value) if index in column.best else escape(value)
            cells.append(Markup("<td>{}{}</td>").format(shown, _small(" ".join([interval, *_own(column, result)]))))
        size = "" if model.parameters is None else f"{model.parameters:,} parameters"
        name = Markup('<th scope="row">{}{}</th>').format(model.name, _small(size))
        rows.append(Markup("<tr>{}{}</tr>").format(name, Markup("").join(cells)))
    return Markup('<table><thead><tr><th scope="col">Model</th>{}</tr></thead><tbody>{}</tbody></table>').format(
        head, Markup("\n").join(rows)
    )


def markdown_table(models: Sequence[ModelResults]) -> str:
    """The table as Markdown; characters that Markdown or HTML would read as markup are escaped."""
    table = columns(models)
    heads = ["Model", "Parameters"]
    heads += [markdown(column.title) + (f" ({column.note})" if column.note else "") for column in table]
    lines = [heads, ["---", "---:", *("---:" for _ in table)]]
    for index, model in enumerate(models):
        cells = [markdown(model.name), "" if model.parameters is None else f"{model.parameters:,}"]
        for column in table:
            result = column.cells[index]
            if result is None:
                cells.append("not run")
                continue
            value, interval = percent(result)
            shown = f"**{value}**" if index in column.best else value
            cells.append(" ".join([shown, interval, *_own(column, result)]))
        lines.append(cells)
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def rich_table(models: Sequence[ModelResults]) -> Table:
    """The table for a terminal: a row for each attack, so that it fits 80 columns; names are shown as they are."""
    title = ", ".join(filter(None, ["Accuracy with Wilson 95% intervals", describe_eps(models)]))
    shown = Table(title=Text(plain(title)), title_justify="left")
    shown.add_column("Attack")
    shown.add_column("Images", justify="right")
    for model in models:
        shown.add_column(Text(plain(model.name)), justify="right")
    for column in columns(models):
        cells = []
        for index, result in enumerate(column.cells):
            if result is None:
                cells.append(Text("not run", style="dim"))
                continue
            value, interval = percent(result)
            text = Text(value, style="bold" if index in column.best else "")
            cells.append(text.append(" " + " ".join([interval, *_own(column, result)]), style="not bold dim"))
        shown.add_row(Text(plain(column.title)), column.note.removesuffix(" images"), *cells)
    sizes = ["" if model.parameters is None else f"{model.parameters:,}" for model in models]
    if any(sizes):
        shown.add_section()
        shown.add_row("Parameters", "", *sizes)
    return shown


def _column(models: Sequence[ModelResults], name: str) -> Column:
    cells = tuple(model.attack(name) for model in models)
    there = [(index, model, cell) for index, (model, cell) in enumerate(zip(models, cells, strict=True)) if cell]
    notes = {_images(model, cell) for _, model, cell in there}
    best: frozenset[int] = frozenset()
    # A comparison needs two, and for both the same images and the same attack.
    conditions = {(model.fingerprint, describe_settings(cell.settings)) for _, model, cell in there}
    if len(there) > 1 and len(notes) == 1 and len(conditions) == 1:
        # An accuracy that the sanity checks doubt is not a high one.
        believed = [(index, cell.accuracy) for index, model, cell in there if not model.doubts]
        highest = max((accuracy for _, accuracy in believed), default=None)
        best = frozenset(index for index, accuracy in believed if accuracy == highest)
    note = notes.pop() if len(notes) == 1 else ""
    title = there[0][2].title
    if note:
        title = title.removesuffix(f" ({note})")  # once is enough
    return Column(name, title, note, cells, best)


def _images(model: ModelResults, result: AttackResult) -> str:
    if model.images is not None and result.images < model.images:
        return f"{result.images} of {model.images} images"
    return f"{result.images} images"


def _own(column: Column, result: AttackResult) -> list[str]:
    """The number of images, where the heading cannot say it for all models."""
    return [] if column.note else [f"{result.images} images"]


def _small(text: str) -> Markup:
    return Markup("<small>{}</small>").format(text) if text else Markup("")


def markdown(text: str) -> str:
    """Text as Markdown in one line: characters that Markdown or HTML would read as markup are escaped."""
    one_line = " ".join(text.split())
    one_line = re.sub(r"&(?=#?\w+;)", "&amp;", one_line).replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\`*_\[\]|])", r"\\\1", one_line)
