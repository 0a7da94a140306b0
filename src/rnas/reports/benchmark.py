"""Where the cells that a search found stand among all cells of NAS-RobBench-201, for the terminal and the page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from markupsafe import Markup
from rich.table import Table
from rich.text import Text

from rnas.run.benchmark_results import BenchmarkResults
from rnas.terminal import printable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rnas.run.contents import Part

__all__ = ["COLUMNS", "benchmark_html", "benchmark_table"]

#: Figure -> heading and how a value is written.
COLUMNS = {
    "parameters": ("size", "{:,.0f}"),
    "robust_accuracy": ("robust", "{:.4f}"),
    "robust_percentile": ("percentile", "{:.1f}"),
    "robust_percentile_within_limit": ("in limit", "{:.1f}"),
    "robust_percentile_at_equal_size": ("equal size", "{:.1f}"),
    "robust_percentile_at_its_size": ("at most its size", "{:.1f}"),
    "clean_percentile": ("clean", "{:.1f}"),
    "passes": ("passes", "{:,.0f}"),
}

#: Seeds below which an interval says less than the values themselves: with two, Student's t stretches it 13-fold.
FEW = 3


def benchmark_table(results: BenchmarkResults) -> Table:
    """A row a seed, then the means; from three seeds on also half of their 95% intervals.

    Args:
        results: what `rnas.commands.run_benchmark` returns.
    """
    title = Text(f"{printable(results.searches[0].algorithm)} on NAS-RobBench-201")
    shown = Table(title=title, title_justify="left")
    shown.add_column("seed")
    for heading, _ in COLUMNS.values():
        shown.add_column(heading, justify="right")
    searches, summary = _lines(results)
    for line in searches:
        shown.add_row(*line)
    shown.add_section()
    for line in summary:
        shown.add_row(*line, style="dim" if line[0] == "+-" else None)
    return shown


def benchmark_html(part: Part) -> Markup:
    """The same table for the page.

    Args:
        part: the folder of a finished benchmark.

    Raises:
        RunError: if its results.json holds something else.
    """
    searches, summary = _lines(BenchmarkResults.from_json(part.summary, str(part.path / "results.json")))
    heads = ["seed", *(heading for heading, _ in COLUMNS.values())]
    head = Markup("").join(Markup('<th scope="col">{}</th>').format(text) for text in heads)
    rows = [
        Markup('<tr><th scope="row">{}</th>{}</tr>').format(
            line[0], Markup("").join(Markup("<td>{}</td>").format(text) for text in line[1:])
        )
        for line in [*searches, *summary]
    ]
    return Markup("<table><thead><tr>{}</tr></thead><tbody>{}</tbody></table>").format(head, Markup("\n").join(rows))


def _line(name: str, values: Mapping[str, float | None]) -> list[str]:
    """A row's cells; a dash where there is no value."""
    shown = [(values.get(key), form) for key, (_, form) in COLUMNS.items()]
    return [name, *("-" if value is None else form.format(value) for value, form in shown)]


def _lines(results: BenchmarkResults) -> tuple[list[list[str]], list[list[str]]]:
    """The rows of the searches, and the rows that sum them up; one search has none of these."""
    lines = [_line(str(search.seed), search.figures()) for search in results.searches]
    if len(lines) == 1:
        return lines, []
    summary = [_line("mean", {name: interval.mean for name, interval in results.means.items()})]
    if len(lines) >= FEW:
        summary.append(_line("+-", {name: interval.half for name, interval in results.means.items()}))
    return lines, summary
