"""The paper's tables and figures, repeated: its number beside ours, as a CSV file and for the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from rich.table import Table
from rich.text import Text

from rnas.reports.figures.style import drawable
from rnas.reports.ledger import csv_text, recorded_origin

__all__ = ["ACCURACIES", "PARAMETERS", "StudyRow", "study_csv", "study_table", "words"]

#: The measures that are accuracies, as they are printed.
ACCURACIES: Final = {"clean": "clean", "fgsm": "FGSM", "pgd20": "PGD-20", "cw": "C&W", "autoattack": "AutoAttack"}

#: The measure that is a size.
PARAMETERS: Final = "parameters_millions"

#: How ours, the paper's number and the difference are written, by measure; accuracies as the paper writes them.
_FORMATS: Final = {**dict.fromkeys(ACCURACIES, (".1f", ".2f", "+.1f")), PARAMETERS: (".3f", ".1f", "+.2f")}


@dataclass(frozen=True)
class StudyRow:
    """A number of the paper and ours.

    Args:
        label: what the paper calls the row.
        network: name in the zoo, or what our search found.
        training: "adversarial" or "standard"; empty where nothing is trained.
        data: the paper's data set.
        measure: what is counted: an attack (percent), "parameters_millions", a layer, an operation of a cell.
        paper: the paper's number, or None where it prints none.
        ours: our number, or None where the run is not finished, or cannot be made.
        low: lower end of our number's 95% interval (Wilson), or None.
        high: upper end, or None.
        images: number of test images behind it, or None.
        run: the run directory.
        note: what a reader should know of this row.
        call: what a manifest says of the call that measured it; empty where nothing was measured.
    """

    label: str
    network: str
    training: str
    data: str
    measure: str
    paper: float | None = None
    ours: float | None = None
    low: float | None = None
    high: float | None = None
    images: int | None = None
    run: str = ""
    note: str = ""
    call: Mapping[str, Any] = field(default_factory=dict)

    @property
    def difference(self) -> float | None:
        """Ours less the paper's, or None where one of them is missing."""
        return None if self.ours is None or self.paper is None else self.ours - self.paper


def study_csv(rows: Sequence[StudyRow], study: str, budget: str, sources: Mapping[str, str]) -> str:
    """The rows as CSV text with a header, each with command, seed, commit and hardware.

    Args:
        rows: what was measured, or is still to be.
        study: its name.
        budget: its name.
        sources: the paper's data set -> the images that were used as it, in words.
    """
    unknown = dict.fromkeys(recorded_origin({}))
    return csv_text(
        [
            {
                "study": study,
                "budget": budget,
                "row": row.label,
                "network": row.network,
                "training": row.training,
                "data": row.data,
                "images_of": sources[row.data],
                "measure": row.measure,
                "paper": row.paper,
                "ours": _rounded(row.ours),
                "difference": _rounded(row.difference),
                "low": _rounded(row.low),
                "high": _rounded(row.high),
                "test_images": row.images,
                "note": row.note,
                "run": row.run,
                **(recorded_origin(row.call) if row.call else unknown),
            }
            for row in rows
        ]
    )


def _rounded(value: float | None) -> str:
    return "" if value is None else f"{value:.6g}"


def study_table(cells: Mapping[tuple[str, str], StudyRow], title: str, note: str) -> Table:
    """The numbers for a terminal: "ours/paper (difference)", with a dash where there is none.

    Args:
        cells: by line and column, each a measure or another name.
        title: what the study is about.
        note: how ours was made.
    """
    if any(row.paper is not None for row in cells.values()):
        title = f"{title}: ours/paper (difference)"
    headings = {**ACCURACIES, PARAMETERS: "params/M"}
    shown = Table(
        box=None,
        pad_edge=False,
        padding=(0, 0, 0, 1),  # so that five attacks fit 80 columns
        title=Text(drawable(title)),
        title_justify="left",
        caption=Text(drawable(note)),
        caption_justify="left",
    )
    shown.add_column(overflow="fold")
    columns = list(dict.fromkeys(column for _, column in cells))
    for column in columns:
        shown.add_column(headings.get(column, column), justify="right", overflow="fold")
    for line in dict.fromkeys(line for line, _ in cells):
        shown.add_row(
            Text(drawable(headings.get(line, line))), *(_cell(cells.get((line, column))) for column in columns)
        )
    return shown


def _cell(row: StudyRow | None) -> str:
    if row is None or (row.ours is None and row.paper is None):
        return "-"
    ours, paper, difference = words(row)
    if row.paper is None:
        return ours
    return f"{ours}/{paper} ({difference})" if row.ours is not None else f"{ours}/{paper}"


def words(row: StudyRow) -> tuple[str, str, str]:
    """Our number, the paper's and the difference as text, a dash for what is missing."""
    formats = _FORMATS.get(row.measure, (".3g", "g", "+g"))
    values = (row.ours, row.paper, row.difference)
    ours, paper, difference = (
        "-" if value is None else f"{value:{form}}" for value, form in zip(values, formats, strict=True)
    )
    return ours, paper, difference
