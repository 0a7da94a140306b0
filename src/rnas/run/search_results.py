"""A search's results.json, written and read: what it ended with, and whether it kept its bound F <= H."""

from __future__ import annotations

from dataclasses import dataclass
from types import NoneType
from typing import TYPE_CHECKING, Any, Final

from rnas.documents import check_fields, entries, is_number, whole
from rnas.errors import RunError
from rnas.run.files import read_summary

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["Candidate", "SearchResults", "bound_met", "read_candidates", "read_search_results"]

#: Of searches of older versions, which did not write theirs down.
TOLERANCE: Final = 1e-3


#: The entries of a candidate that are no measures.
RACE: Final = ("parent", "later")


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
class Candidate:
    """A network that a search might have ended with, and how far it came in the race.

    Args:
        measures: for each rung in which it was trained, what was measured of it, by name: F, adversarial_loss and
            clean_loss, clean_accuracy and robust_accuracy in [0, 1], parameters, and the passes that it took.
        parent: the position of the candidate that it is a mutant of; None if it was proposed.
    """

    measures: tuple[Mapping[str, float], ...]
    parent: int | None = None

    def to_json(self) -> dict[str, Any]:
        """An entry of results.json: what the first rung measured, and under "later" what the others did."""
        first, *later = self.measures
        raced = {"later": [dict(measures) for measures in later]} if later else {}
        return {**first, **({} if self.parent is None else {"parent": self.parent}), **raced}

    @classmethod
    def from_json(cls, entry: Mapping[str, Any], where: str) -> Candidate:
        """Read what `to_json` gave, or an older version.

        Raises:
            RunError: if a value is of another type; `where` names the file and the candidate.
        """
        rungs = [entry, *entries(entry, "later", where)]
        for rung in rungs:
            for name, value in rung.items():
                if name not in RACE and value is not None and not is_number(value):
                    raise RunError(f"{where}: {name!r} should be a number, is {value!r}"[:300])
        measures = [
            {name: value for name, value in rung.items() if name not in RACE and value is not None} for rung in rungs
        ]
        return cls(tuple(measures), whole(entry, "parent", where))


@dataclass(frozen=True)
class SearchResults:
    """The end of a search; F and H are those of the supernet.

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
        candidates: those that raced, in the order of proposal; empty without a shortlist.
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
    candidates: tuple[Candidate, ...] = ()

    @property
    def bound_met(self) -> bool | None:
        """Whether F ended within its bound; None where there is no F or no H."""
        return bound_met(self.reached, self.bound, self.tolerance)

    def bound_in_words(self) -> str:
        """Say in one line whether the bound was met; empty where there was none."""
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
            "candidates": [candidate.to_json() for candidate in self.candidates],
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
            candidates=read_candidates(document, where),
            **names,
        )


def read_candidates(document: Mapping[str, Any], where: str) -> tuple[Candidate, ...]:
    """The candidates in the content of a search's results.json; empty where there are none.

    Raises:
        RunError: if a value is of another type; `where` names the file.
    """
    found = document.get("candidates") or []
    listed = enumerate(entries({"candidates": found}, "candidates", where))
    return tuple(Candidate.from_json(entry, f"{where}, candidate {number}") for number, entry in listed)


def read_search_results(folder: Path) -> SearchResults:
    """Read the end of a search in a folder.

    Raises:
        RunError: if it is missing or damaged.
    """
    return SearchResults.from_json(read_summary(folder), str(folder / "results.json"))
