"""A number for one candidate after another, kept in a file of the run: a killed search measures nothing twice.

What a search proposes next depends on what it measured before and on its seed. So one that is killed proposes the same
candidates again, takes what the file holds of them, and goes on from there.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from rnas import parallel
from rnas.documents import check_fields, entries
from rnas.errors import DivergenceError, RunError
from rnas.genotype import Genotype
from rnas.progress import Reporter
from rnas.run.directory import Run
from rnas.run.files import read_object
from rnas.search.algorithm import SearchState

__all__ = ["Measured", "Measurements"]

#: What the file says of a candidate, besides its cells.
FIELDS: dict[str, tuple[type, ...]] = {"value": (int, float), "passes": (int,), "cells": (dict,)}


class Measured(NamedTuple):
    """A candidate, its measured value, and the forward passes that this took."""

    genotype: Genotype
    value: float
    passes: int


class Measurements:
    """Measures candidates; call it with one after another.

    Args:
        name: what the values are, in a word: that of the file, too.
        measure: a candidate and its number, from 0, to its value; what it computes adds its passes to the state's.
        state: the search; passes of what the file holds are counted as well.
        run: has the file <name>.json.
        total: how many candidates there will be.
        every: candidates after which the file is written; after the last it always is.

    Raises:
        RunError: if the file is damaged.
    """

    def __init__(
        self,
        name: str,
        measure: Callable[[Genotype, int], float],
        state: SearchState,
        run: Run,
        *,
        total: int,
        every: int,
    ) -> None:
        self.name, self.measure, self.state, self.run = name, measure, state, run
        self.total, self.every = total, every
        self.kept: list[dict[str, Any]] = parallel.from_first(lambda: read(run.path / f"{name}.json"))
        self.found: list[Measured] = []
        # Lines, for what is measured may have a bar of its own.
        self.reporter = Reporter(f"{name} of {run.path.name}", total, len(self.kept), "candidates", None)

    def __call__(self, genotype: Genotype) -> float:
        """The value of the next candidate.

        Raises:
            RunError: if the file holds that of another candidate.
            DivergenceError: if it is not finite.
        """
        number, candidate = len(self.found), replace(genotype, space=self.state.space.name)
        if number < len(self.kept):
            one = self.recall(candidate, self.kept[number])
            self.state.passes += one.passes
        else:
            before = self.state.passes
            value = self.measure(candidate, number)
            one = Measured(candidate, parallel.from_first(lambda: value), self.state.passes - before)
            if not math.isfinite(one.value):
                raise DivergenceError(f"candidate {number}: {self.name} is {one.value}: choose a lower learning rate")
        self.found.append(one)
        if number >= len(self.kept):
            if len(self.found) % self.every == 0 or len(self.found) == self.total:
                self.write()
            self.reporter.update(len(self.found), highest=self.highest, last=one.value)
        return one.value

    @property
    def highest(self) -> float:
        """The highest value so far."""
        return max(one.value for one in self.found)

    def ranked(self) -> list[Genotype]:
        """The distinct candidates, those of the highest values first; of equal ones the earlier."""
        return list(dict.fromkeys(one.genotype for one in sorted(self.found, key=lambda one: -one.value)))

    def recall(self, candidate: Genotype, kept: dict[str, Any]) -> Measured:
        """Read a candidate's value from the file."""
        if kept["cells"] != candidate.cells_document()["cells"]:
            raise RunError(
                f"{self.run.path / self.name}.json: candidate {len(self.found)} is not the one that this search "
                "proposes: another version of rnas wrote it; choose another --out"
            )
        return Measured(candidate, float(kept["value"]), kept["passes"])

    def write(self) -> None:
        """Keep what has been found."""
        lines = [{"value": one.value, "passes": one.passes, **one.genotype.cells_document()} for one in self.found]
        self.run.write_json(f"{self.name}.json", {"candidates": lines})


def read(path: Path) -> list[dict[str, Any]]:
    """Read what a file holds of each candidate, in order; nothing if there is no file."""
    document = read_object(path)
    found = [] if document is None else [dict(one) for one in entries(document, "candidates", str(path))]
    for number, one in enumerate(found):
        check_fields(one, FIELDS, f"{path}, candidate {number}")
    return found
