"""A search's results.json, written and read: what it ended with, and whether it kept its bound F <= H."""

from __future__ import annotations

from dataclasses import dataclass
from types import NoneType
from typing import TYPE_CHECKING, Any, Final

from rnas.documents import check_fields, entries
from rnas.run.files import read_summary

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["SearchResults", "bound_met", "read_search_results"]

#: Of searches of older versions, which did not write theirs down.
TOLERANCE: Final = 1e-3


def bound_met(reached: float | None, bound: float | None, tolerance: float) -> bool | None:
    """Whether F <= H (1 + tolerance), as the projection of Eq. 9 judges it; None where there is no F or no H.

    Args:
        reached: F at the end.
        bound: H.
        tolerance: on F / H - 1.
    """
    if reached is None or bound is None:
        return None
    return reached <= bound * (1 + tolerance)


@dataclass(frozen=True)
class SearchResults:
    """What a search ended with; F and H are those of the supernet.

    Args:
        bound: H, or None without one.
        reached: F at the end, or None where it was not measured.
        parameters: of the cells that were found, at their published size.
        passes: of the supernet and of candidates, that the search took.
        size_limit: the most parameters that it was allowed, or None.
        tolerance: on F / H - 1.
        algorithm: its name; empty, as the names that follow, if it is not recorded.
        space: the space that was searched.
        metric: how F is measured.
        solver: of the projection.
        none: the mean probability of the operation none, or None in a space without it.
        operations: names, in alpha's order.
        candidates: what was measured of each network of a shortlist; empty without one.
    """

    bound: float | None
    reached: float | None
    parameters: int
    passes: int
    size_limit: int | None = None
    tolerance: float = TOLERANCE
    algorithm: str = ""
    space: str = ""
    metric: str = ""
    solver: str = ""
    none: float | None = None
    operations: tuple[str, ...] = ()
    candidates: tuple[Mapping[str, Any], ...] = ()

    @property
    def bound_met(self) -> bool | None:
        """Whether F ended within its bound; None where there is no F or no H."""
        return bound_met(self.reached, self.bound, self.tolerance)

    def bound_in_words(self) -> str:
        """What became of the bound, in one line; empty where there was none."""
        if self.bound_met is None or self.reached is None or not self.bound:
            return ""
        ratio = f"F / H = {self.reached / self.bound:.3g}, tolerance {self.tolerance:g}"
        return f"bound {'met' if self.bound_met else 'NOT met'}: {ratio}"

    def to_json(self) -> dict[str, Any]:
        """The content of a search's results.json; `from_json` reads it back."""
        return {
            "algorithm": self.algorithm,
            "space": self.space,
            "H": self.bound,
            "F": self.reached,
            "tolerance": self.tolerance,
            "bound_met": self.bound_met,
            "metric": self.metric,
            "solver": self.solver,
            "none": self.none,
            "operations": list(self.operations),
            "size_limit": self.size_limit,
            "parameters": self.parameters,
            "passes": self.passes,
            "candidates": [dict(candidate) for candidate in self.candidates],
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any], where: str) -> SearchResults:
        """Read what `to_json` gave, or an older version.

        Args:
            document: the content of a search's results.json.
            where: the file, for errors.

        Raises:
            RunError: if a value is missing or of another type.
        """
        number = (int, float, NoneType)
        kinds: dict[str, tuple[type, ...]] = {
            **dict.fromkeys(("F", "H", "tolerance", "none"), number),
            **dict.fromkeys(("parameters", "passes"), (int,)),
            "size_limit": (int, NoneType),
            "operations": (list, NoneType),
        }
        check_fields(document, kinds, where)
        names = {key: str(document.get(key) or "") for key in ("algorithm", "space", "metric", "solver")}
        tolerance = document.get("tolerance")
        return cls(
            bound=document["H"],
            reached=document["F"],
            parameters=document["parameters"],
            passes=document["passes"],
            size_limit=document["size_limit"],
            tolerance=TOLERANCE if tolerance is None else tolerance,
            none=document.get("none"),
            operations=tuple(map(str, document.get("operations") or ())),
            candidates=tuple(entries(document, "candidates", where)),
            **names,
        )


def read_search_results(folder: Path) -> SearchResults:
    """What a search in a folder ended with.

    Raises:
        RunError: if it is missing or damaged.
    """
    return SearchResults.from_json(read_summary(folder), str(folder / "results.json"))
