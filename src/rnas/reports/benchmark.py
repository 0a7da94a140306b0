"""Where the cells that a search found stand among all cells of NAS-RobBench-201, for the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["benchmark_table"]

#: Figure -> heading and how a value is written.
COLUMNS = {
    "parameters": ("size", "{:,.0f}"),
    "robust_accuracy": ("robust", "{:.4f}"),
    "robust_percentile": ("percentile", "{:.1f}"),
    "robust_percentile_within_limit": ("in limit", "{:.1f}"),
    "robust_percentile_at_its_size": ("at its size", "{:.1f}"),
    "clean_percentile": ("clean", "{:.1f}"),
    "passes": ("passes", "{:,.0f}"),
}


def benchmark_table(document: Mapping[str, Any]) -> Table:
    """A row a seed, then the means and half of their 95% intervals.

    Args:
        document: what `rnas.recipes.run_benchmark` returns.
    """
    searches, means = document["searches"], document["means"]
    shown = Table(title=f"{searches[0]['algorithm']} on NAS-RobBench-201", title_justify="left")
    shown.add_column("seed")
    for heading, _ in COLUMNS.values():
        shown.add_column(heading, justify="right")
    for search in searches:
        shown.add_row(str(search["seed"]), *(form.format(search[key]) for key, (_, form) in COLUMNS.items()))
    shown.add_section()
    shown.add_row("mean", *(form.format(means[key]["mean"]) for key, (_, form) in COLUMNS.items()))
    if len(searches) > 1:
        # Half of the 95% interval.
        spread = {key: means[key]["high"] - means[key]["mean"] for key in COLUMNS}
        shown.add_row("+-", *(form.format(spread[key]) for key, (_, form) in COLUMNS.items()), style="dim")
    return shown
