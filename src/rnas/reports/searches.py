"""One search on the page: alpha, F against its bound, the candidates, its outcome."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rnas.errors import RunError
from rnas.reports.facts import bound, outcome
from rnas.reports.figures.alpha import alpha_figure, trajectories
from rnas.reports.figures.curves import vulnerability_figure
from rnas.reports.figures.race import race_figure
from rnas.reports.figures.style import cell_name
from rnas.reports.races import read_race
from rnas.reports.wording import describe_cell

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rnas.reports.gallery import Gallery, Picture
    from rnas.reports.races import Race
    from rnas.run.contents import Part

__all__ = ["SearchSection", "search_section"]


#: What the figure of a race shows.
RACE = "Adversarial loss over the vulnerability F of each candidate, a panel for each rung; who went on, and who won."


@dataclass(frozen=True)
class SearchSection:
    """A search on the page.

    Args:
        name: how the page calls it.
        alpha: a figure for each kind of cell.
        vulnerability: F over time, or None if it was never measured.
        bound: whether the bound was met, in words, and whether it was not; None without a bound.
        outcome: what the search says of itself.
        race: the candidates, or None if it had no choice.
        rungs: the figure of the race, where there was one.
        cells: of each candidate, in words, in order; empty for those whose cells are no longer there.
    """

    name: str
    alpha: tuple[Picture, ...]
    vulnerability: Picture | None
    bound: tuple[str, bool] | None
    outcome: list[tuple[str, str]]
    race: Race | None
    rungs: tuple[Picture, ...]
    cells: tuple[str, ...]


def search_section(search: Part, gallery: Gallery, suffix: str = "") -> SearchSection:
    """Draw a search.

    Args:
        search: the search.
        gallery: where its figures go.
        suffix: of their names, where there are several searches.

    Raises:
        RunError: if a file of it holds something else.
    """
    operations = _operations(search)
    race = read_race(search)
    moments = trajectories(search.metrics, operations)
    pictures = []
    for trajectory in moments:
        # The panels are of alpha, so they tint what alpha says, and beside it name what won in its place.
        derived = race.overruled if race is not None and race.overruled is not None else search.genotype
        cells = [
            genotype[trajectory.kind] if genotype is not None and trajectory.kind in genotype.kinds else None
            for genotype in (derived, search.genotype)
        ]
        words = cell_name(trajectory.kind)
        pictures.append(
            gallery.add(
                alpha_figure(trajectory, cells[0], cells[1]),
                f"alpha_{trajectory.kind}{suffix}",
                f"Probability of every operation on every edge of the {words} over the steps of the search.",
                f"{words[:1].upper()}{words[1:]}.",
            )
        )
    drawn = None if race is None else race_figure(race)
    figure = vulnerability_figure(search.metrics, moments)
    words = "Vulnerability F and its bound H over the steps of the search, and the probability of the operation none."
    return SearchSection(
        name=search.name,
        alpha=tuple(pictures),
        vulnerability=None if figure is None else gallery.add(figure, f"vulnerability{suffix}", words),
        bound=bound(search),
        outcome=outcome(search),
        race=race,
        rungs=() if drawn is None else (gallery.add(drawn, f"race{suffix}", RACE),),
        cells=tuple(
            ""
            if candidate.genotype is None
            else "; ".join(f"{cell_name(kind)}: {describe_cell(cell)}" for kind, cell in candidate.genotype.cells)
            for candidate in (race.racers if race else ())
        ),
    )


def _operations(search: Part) -> Sequence[str] | None:
    names = search.summary.get("operations")
    if names is None:
        return None
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise RunError(f"{search.path / 'results.json'}: 'operations' should be a list of names, is {names!r}"[:200])
    return names
