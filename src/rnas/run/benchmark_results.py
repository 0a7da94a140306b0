"""A benchmark's results.json, written and read: where the cells that its searches found stand among all cells."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from types import NoneType
from typing import TYPE_CHECKING, Any, Final

from rnas.documents import check_fields, entries, part
from rnas.errors import RunError
from rnas.run.files import read_summary

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["BenchmarkResults", "FoundCell", "Interval", "read_benchmark_results"]

NUMBER: Final = (int, float)
OPTIONAL: Final = (int, float, NoneType)
#: How JSON gives each type of a field.
KINDS: Final[dict[str, tuple[type, ...]]] = {
    "str": (str,),
    "int": (int,),
    "float": NUMBER,
    "float | None": OPTIONAL,
}


@dataclass(frozen=True, kw_only=True)
class FoundCell:
    """The cell that one search found, and where it stands in a table of all cells.

    Accuracies are in [0, 1]. A rank is one more than the number of cells that are strictly better. Percentiles are in
    [0, 100]: among all cells, among those within the size limit of the search, among those of at most the cell's own
    size, and among those of exactly its size. The last is None in files of older versions.

    Args:
        algorithm: of the search.
        seed: of the search.
        cell: in the benchmark's notation.
        parameters: its size in the benchmark.
        passes: of the supernet and of candidates, that the search took.
    """

    algorithm: str
    seed: int
    cell: str
    parameters: int
    robust_accuracy: float
    robust_rank: int
    robust_percentile: float
    robust_percentile_within_limit: float
    robust_percentile_at_its_size: float
    robust_percentile_at_equal_size: float | None
    clean_accuracy: float
    clean_rank: int
    clean_percentile: float
    clean_percentile_within_limit: float
    clean_percentile_at_its_size: float
    clean_percentile_at_equal_size: float | None
    passes: int

    def figures(self) -> dict[str, float]:
        """The figures that can be averaged over seeds, by name."""
        told = self.to_json()
        return {name: value for name, value in told.items() if name != "seed" and not isinstance(value, str)}

    def to_json(self) -> dict[str, Any]:
        """An entry of the list "searches"; `from_json` reads it back. What is None is left out."""
        return {name: value for name, value in asdict(self).items() if value is not None}

    @classmethod
    def from_json(cls, document: Mapping[str, Any], where: str) -> FoundCell:
        """Read what `to_json` gave, or an older version.

        Raises:
            RunError: if a value is missing or of another type; `where` names the file and the search.
        """
        check_fields(document, {field.name: KINDS[str(field.type)] for field in fields(cls)}, where)
        values: dict[str, Any] = {field.name: document.get(field.name) for field in fields(cls)}
        return cls(**values)


@dataclass(frozen=True)
class Interval:
    """The mean of a figure over seeds.

    Args:
        mean: of all seeds.
        low: lower end of its 95% interval (Student's t), or None with one seed.
        high: upper end, or None.
    """

    mean: float
    low: float | None = None
    high: float | None = None

    @property
    def half(self) -> float | None:
        """Half the length of the interval, or None where there is none."""
        return None if self.high is None else self.high - self.mean

    def to_json(self) -> dict[str, float | None]:
        """An entry of "means"; `from_json` reads it back."""
        return asdict(self)

    @classmethod
    def from_json(cls, document: Mapping[str, Any], where: str) -> Interval:
        """Read what `to_json` gave; raises RunError if a value is missing or of another type."""
        check_fields(document, {"mean": NUMBER, "low": OPTIONAL, "high": OPTIONAL}, where)
        return cls(document["mean"], document.get("low"), document.get("high"))


@dataclass(frozen=True)
class BenchmarkResults:
    """The results of a benchmark's searches.

    Args:
        searches: one a seed, at least one.
        means: each figure of `FoundCell` but the seed -> its mean over the seeds.
    """

    searches: tuple[FoundCell, ...]
    means: Mapping[str, Interval]

    def to_json(self) -> dict[str, Any]:
        """The content of a benchmark's results.json; `from_json` reads it back."""
        return {
            "searches": [search.to_json() for search in self.searches],
            "means": {name: mean.to_json() for name, mean in self.means.items()},
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any], where: str) -> BenchmarkResults:
        """Read what `to_json` gave, or an older version.

        Args:
            document: the content of a benchmark's results.json.
            where: the file, for errors.

        Raises:
            RunError: if a value is missing or of another type.
        """
        listed = enumerate(entries(document, "searches", where), start=1)
        searches = tuple(FoundCell.from_json(entry, f"{where}, search {number}") for number, entry in listed)
        if not searches:
            raise RunError(f"{where} is damaged: it has no searches")
        means = part(document, "means", where)
        check_fields(means, dict.fromkeys([*searches[0].figures(), *means], (dict,)), where)
        ends = dict.fromkeys(("low", "high"), NUMBER if len(searches) > 1 else OPTIONAL)
        for name, mean in means.items():
            check_fields(mean, ends, f"{where}, the mean of {name}")
        return cls(searches, {name: Interval.from_json(mean, where) for name, mean in means.items()})


def read_benchmark_results(folder: Path) -> BenchmarkResults:
    """Read the results of a benchmark in a folder.

    Raises:
        RunError: if it is missing or damaged.
    """
    return BenchmarkResults.from_json(read_summary(folder), str(folder / "results.json"))
