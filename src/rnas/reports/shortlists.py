"""The shortlist of a search: what was measured of its candidates, which one won, and by what."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rnas.documents import is_number
from rnas.errors import GenotypeError, RunError
from rnas.genotype import Genotype

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from rnas.run.contents import Part

__all__ = ["Candidate", "Shortlist", "read_shortlist"]

_NUMBERS = ("F", "adversarial_loss", "clean_accuracy", "robust_accuracy", "parameters")


@dataclass(frozen=True)
class Candidate:
    """A network that a search might have ended with, after a short training of its own.

    Args:
        number: its position, from 0; 0 is what the search ends with by itself.
        measures: F, adversarial_loss, clean_accuracy and robust_accuracy (in [0, 1]) and parameters, those that are
            recorded.
        kept: whether its F is among the lowest ones that the bound keeps; None if the bound is not recorded.
        genotype: its cells, or None if they are no longer there.
        chosen: whether it is what was found.
    """

    number: int
    measures: Mapping[str, float]
    kept: bool | None
    genotype: Genotype | None
    chosen: bool

    def measure(self, name: str, form: str = ".3f") -> str:
        """A measure as text; a dash if it was not recorded."""
        return f"{self.measures[name]:{form}}" if name in self.measures else "-"

    def percent(self, name: str) -> str:
        """A share in percent; a dash if it was not recorded."""
        return f"{100 * self.measures[name]:.1f}%" if name in self.measures else "-"


@dataclass(frozen=True)
class Shortlist:
    """The candidates of a search, at least two.

    Args:
        candidates: in the order of proposal.
        metric: how F was measured; empty if it is not recorded.
        epochs: of each candidate's training, or None if it is not recorded.
        searched: whether the first candidate is what alpha says; a random search has no alpha.
    """

    candidates: tuple[Candidate, ...]
    metric: str
    epochs: int | None
    searched: bool

    @property
    def winner(self) -> Candidate | None:
        """The candidate that was found; None if its cells are no longer there."""
        return next((candidate for candidate in self.candidates if candidate.chosen), None)

    @property
    def overruled(self) -> Genotype | None:
        """What alpha would have given, where another candidate won and the cells are still there."""
        winner = self.winner
        return self.candidates[0].genotype if self.searched and winner is not None and winner.number else None

    @property
    def rule(self) -> str:
        """What was compared, in words."""
        trained = "" if self.epochs is None else f" by itself for {self.epochs} epoch{'s' if self.epochs > 1 else ''}"
        kept = sum(bool(candidate.kept) for candidate in self.candidates)
        among = f"the {kept} with the lowest F{f' ({self.metric})' if self.metric else ''}"
        if kept == len(self.candidates):
            among = "all"
        elif not kept:
            among = "those with a low F"
        return (
            f"Each of the {len(self.candidates)} candidates was trained{trained} and measured on validation images; of "
            f"{among} the one with the lowest adversarial loss is found."
        )

    @property
    def verdict(self) -> str:
        """Which one won, and by what, in words."""
        winner = self.winner
        if winner is None:
            return "Which candidate won cannot be told: their cells are no longer in the search's folder."
        words = [f"Candidate {winner.number} won"]
        loss = winner.measures.get("adversarial_loss")
        rivals = [
            (candidate.measures["adversarial_loss"], candidate.number)
            for candidate in self.candidates
            if candidate.kept and candidate is not winner and "adversarial_loss" in candidate.measures
        ]
        if loss is not None and winner.kept:
            words.append(f" with an adversarial loss of {loss:.3f}")
            if rivals:
                words.append(" against {:.3f} of candidate {}, the next one kept".format(*min(rivals)))
            elif len(self.candidates) > 1:
                words.append(", as the only one whose F the bound keeps")
        if winner.number and self.searched:
            words.append(
                ". The cells that were found are its own and not those that alpha ends with, which are candidate 0's"
            )
        elif self.searched:
            words.append(". It is the network that alpha ends with")
        return "".join(words) + "."


def read_shortlist(search: Part) -> Shortlist | None:
    """The candidates of a search, or None if it had no choice.

    Raises:
        RunError: if results.json or a candidate's genotype.json holds something else.
    """
    found = search.summary.get("candidates") or []
    where = search.path / "results.json"
    if not isinstance(found, list) or not all(isinstance(entry, dict) for entry in found):
        raise RunError(f"{where}: 'candidates' should be a list of objects")
    if len(found) < 2:
        return None
    keep, epochs, metric = (search.setting("search", "shortlist", key) for key in ("keep", "epochs", "metric"))
    measures = [_measures(entry, f"{where}, candidate {number}") for number, entry in enumerate(found)]
    kept = _kept(measures, keep)
    genotypes = [_genotype(search.path / "candidates" / str(number)) for number in range(len(found))]
    # Of equal cells the first one was measured; candidates are distinct.
    chosen = genotypes.index(search.genotype) if search.genotype in genotypes and search.genotype is not None else None
    return Shortlist(
        candidates=tuple(
            Candidate(
                number,
                measures[number],
                None if kept is None else number in kept,
                genotypes[number],
                number == chosen,
            )
            for number in range(len(found))
        ),
        metric=str(metric or ""),
        epochs=epochs if isinstance(epochs, int) else None,
        searched=bool(search.metrics.of("alpha")),
    )


def _measures(entry: Mapping[str, Any], where: str) -> dict[str, float]:
    values = {name: entry[name] for name in _NUMBERS if entry.get(name) is not None}
    for name, value in values.items():
        if not is_number(value):
            raise RunError(f"{where}: {name!r} should be a number, is {value!r}"[:300])
    return values


def _kept(measures: Sequence[Mapping[str, float]], keep: object) -> set[int] | None:
    """The candidates that the bound on F keeps: a share of them, those with the lowest F."""
    if not isinstance(keep, (int, float)) or not all("F" in candidate for candidate in measures):
        return None
    order = sorted(range(len(measures)), key=lambda number: measures[number]["F"])
    return set(order[: math.ceil(keep * len(order))])


def _genotype(folder: Path) -> Genotype | None:
    if not (folder / "genotype.json").is_file():
        return None
    try:
        return Genotype.load(folder / "genotype.json")
    except GenotypeError as error:
        raise RunError(str(error)) from error
