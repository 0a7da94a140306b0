"""The race at the end of a search: what each rung measured of its candidates, who fell when, and which one won."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rnas.errors import GenotypeError, RunError
from rnas.genotype import Genotype
from rnas.run.search_results import read_candidates

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from rnas.run.contents import Part

__all__ = ["Race", "Racer", "read_race"]

#: What orders a rung's candidates, in words. Of the rule "bound" the share that is kept is told beside it.
RULES = {
    "ranks": "the one with the lowest sum of its ranks by F and by adversarial loss",
    "F": "the one with the lowest F",
    "loss": "the one with the lowest adversarial loss",
}


@dataclass(frozen=True)
class Racer:
    """A network that a search might have ended with, after short trainings of its own.

    Args:
        number: its position, from 0; 0 is what the search ends with by itself.
        rungs: of each rung that it was in F, adversarial_loss, clean_accuracy and robust_accuracy (in [0, 1]) and
            parameters, those that are recorded.
        parent: the number of the candidate that it is a mutant of; None if it was proposed.
        kept: whether its F in the first rung is among the lowest ones that the bound keeps; None without a bound.
        genotype: its cells, or None if they are no longer there.
        chosen: whether it is what was found.
    """

    number: int
    rungs: tuple[Mapping[str, float], ...]
    parent: int | None
    kept: bool | None
    genotype: Genotype | None
    chosen: bool

    def measure(self, name: str, form: str = ".3f") -> str:
        """A measure of its last rung as text; a dash if it was not recorded."""
        return f"{self.rungs[-1][name]:{form}}" if name in self.rungs[-1] else "-"

    def percent(self, name: str) -> str:
        """A share in percent; a dash if it was not recorded."""
        return f"{100 * self.rungs[-1][name]:.1f}%" if name in self.rungs[-1] else "-"


@dataclass(frozen=True)
class Race:
    """The candidates of a search, at least two.

    Args:
        racers: in the order of proposal.
        order: what orders the candidates of a rung: "bound", "ranks", "F" or "loss".
        metric: how F was measured; empty if it is not recorded.
        epochs: of a training of the first rung, or None if it is not recorded.
        eta: how many times longer the next rung trains.
        searched: whether the first candidate is what alpha says; a random search has no alpha.
    """

    racers: tuple[Racer, ...]
    order: str
    metric: str
    epochs: int | None
    eta: int
    searched: bool

    @property
    def rungs(self) -> list[list[Racer]]:
        """The candidates of each rung."""
        count = max(len(racer.rungs) for racer in self.racers)
        return [[racer for racer in self.racers if len(racer.rungs) > rung] for rung in range(count)]

    @property
    def winner(self) -> Racer | None:
        """The candidate that was found; None if its cells are no longer there."""
        return next((racer for racer in self.racers if racer.chosen), None)

    @property
    def overruled(self) -> Genotype | None:
        """The cells that alpha would have given, where another candidate won and they are still there."""
        winner = self.winner
        return self.racers[0].genotype if self.searched and winner is not None and winner.number else None

    @property
    def rule(self) -> str:
        """How long they were trained, and what was compared, in words."""
        first, *later = self.rungs
        words = f"Each of the {len(first)} candidates was trained{self._for(0, ' by itself')}"
        if later:
            lengths = [f"{len(racing)} went on{self._for(rung)}" for rung, racing in enumerate(later, start=1)]
            words = f"{'; '.join([words, *lengths])}. In each rung, {self._best} is the best."
        else:
            words += f" and measured on validation images; {self._best} is found."
        mutants = sum(racer.parent is not None for racer in first)
        are = "is a mutant" if mutants == 1 else "are mutants"
        return f"{mutants} of the candidates {are} of better ones. {words}" if mutants else words

    def _for(self, rung: int, alone: str = "") -> str:
        if self.epochs is None:
            return ""
        epochs = self.epochs * self.eta**rung
        return f"{alone} for {epochs} epoch{'s' if epochs > 1 else ''}"

    @property
    def _best(self) -> str:
        measured = f" ({self.metric})" if self.metric else ""
        if self.order in RULES:
            return RULES[self.order].replace("F", f"F{measured}", 1)
        kept = sum(bool(racer.kept) for racer in self.racers)
        among = f"the {kept} with the lowest F{measured}"
        if len(self.rungs) > 1 or not kept:
            among = f"those with a low F{measured}"
        elif kept == len(self.racers):
            among = "all"
        return f"of {among} the one with the lowest adversarial loss"

    @property
    def verdict(self) -> str:
        """Which one won, and by what, in words."""
        winner = self.winner
        if winner is None:
            return "Which candidate won cannot be told: their cells are no longer in the search's folder."
        words = [f"Candidate {winner.number} won"]
        if self.order == "bound" and len(self.rungs) == 1:
            words += self._loss(winner)
        else:
            last = [f"{name} {winner.measure(key, form)}" for name, key, form in SHOWN if key in winner.rungs[-1]]
            words += [f", in the last rung with {' and '.join(last)}"] if last else []
        if winner.number and self.searched:
            words.append(
                ". The cells that were found are its own and not those that alpha ends with, which are candidate 0's"
            )
        elif self.searched:
            words.append(". It is the network that alpha ends with")
        return "".join(words) + "."

    def _loss(self, winner: Racer) -> list[str]:
        """By what loss the winner won under a bound, and against whom."""
        loss = winner.rungs[-1].get("adversarial_loss")
        rivals = [
            (racer.rungs[-1]["adversarial_loss"], racer.number)
            for racer in self.racers
            if racer.kept and racer is not winner and "adversarial_loss" in racer.rungs[-1]
        ]
        if loss is None or not winner.kept:
            return []
        words = [f" with an adversarial loss of {loss:.3f}"]
        if rivals:
            words.append(" against {:.3f} of candidate {}, the next one kept".format(*min(rivals)))
        elif len(self.racers) > 1:
            words.append(", as the only one whose F the bound keeps")
        return words


#: What is told of a winner: in words, the measure, and how it is written.
SHOWN = (("F =", "F", ".4g"), ("an adversarial loss of", "adversarial_loss", ".3f"))


def read_race(search: Part) -> Race | None:
    """The candidates of a search, or None if it had no choice.

    Raises:
        RunError: if results.json or a candidate's genotype.json holds something else.
    """
    found = read_candidates(search.summary, str(search.path / "results.json"))
    if len(found) < 2:
        return None
    settings = {
        name: search.setting("search", "shortlist", name) for name in ("keep", "epochs", "metric", "rule", "eta")
    }
    order = str(settings["rule"] or "bound")
    kept = _kept([candidate.measures[0] for candidate in found], settings["keep"]) if order == "bound" else None
    genotypes = [_genotype(search.path / "candidates" / str(number)) for number in range(len(found))]
    # Of equal cells the first one was measured; candidates are distinct.
    chosen = genotypes.index(search.genotype) if search.genotype in genotypes and search.genotype is not None else None
    epochs, eta = settings["epochs"], settings["eta"]
    return Race(
        racers=tuple(
            Racer(
                number,
                candidate.measures,
                candidate.parent,
                None if kept is None else number in kept,
                genotypes[number],
                number == chosen,
            )
            for number, candidate in enumerate(found)
        ),
        order=order,
        metric=str(settings["metric"] or ""),
        epochs=epochs if isinstance(epochs, int) else None,
        eta=eta if isinstance(eta, int) else 1,
        searched=bool(search.metrics.of("alpha")),
    )


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
