"""From outcomes to robust accuracy: one row an attack, the clean images before, the worst case after.

A 95% Wilson interval (Wilson 1927, "Probable Inference, the Law of Succession, and Statistical Inference", JASA 22)
says how far a set of that size pins the accuracy down.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest

from rnas.evaluation.outcomes import Outcomes, Record
from rnas.evaluation.sanity import Check, compare
from rnas.evaluation.suite import ATTACKS, Settings

__all__ = ["Evaluation", "Row"]

CLEAN = "clean"
WORST_CASE = "worst_case"


@dataclass(frozen=True)
class Row:
    """Robust accuracy under one attack.

    Args:
        name: of the attack, "clean" or "worst_case".
        title: as tables print it.
        images: how many were attacked.
        robust: how many of them are classified correctly before and after.
        accuracy: robust / images.
        low: lower end of the 95% Wilson interval of the accuracy.
        high: its upper end.
        settings: of the attack.
        seconds: time it took, over all sessions of an evaluation that was interrupted.
    """

    name: str
    title: str
    images: int
    robust: int
    accuracy: float
    low: float
    high: float
    settings: dict[str, Any]
    seconds: float


class Evaluation:
    """The result of `evaluate`.

    The worst case counts an image as robust if no attack broke it, over the attacks that eps bounds and that ran on all
    images; its settings name them. C&W, which only keeps the distance small, takes no part. Left out where none did.

    Args:
        outcomes: of the clean images and of every attack.
        settings: of each attack, by name, in the order to report; "clean" comes first.
        seconds: taken by each, by name.
        examined: what `sanity.examine` said of the model; `sanity` holds it, and what the outcomes say.
    """

    def __init__(
        self,
        outcomes: Outcomes,
        settings: dict[str, Settings],
        seconds: dict[str, float],
        examined: tuple[Check, ...] = (),
    ) -> None:
        self.outcomes = outcomes
        self.examined = examined
        self.sanity = (*examined, *compare(outcomes))
        total = len(outcomes.of(CLEAN))
        rows, complete = [], []
        broken = np.zeros(total, dtype=np.bool_)
        for name, chosen in settings.items():
            attacked = outcomes.of(name)
            title = "Clean" if name == CLEAN else ATTACKS[name].title
            if len(attacked) < total:
                title = f"{title} ({len(attacked)} of {total} images)"
            elif name != CLEAN and ATTACKS[name].norm == "Linf":
                complete.append(name)
                broken |= attacked.broken
            rows.append(_row(name, title, attacked.broken, dict(chosen), seconds[name]))
        if complete:
            rows.append(
                _row(
                    WORST_CASE,
                    "Worst case, Linf",
                    broken,
                    {"attacks": complete},
                    sum(seconds[name] for name in complete),
                )
            )
        self.rows = tuple(rows)

    @classmethod
    def of(cls, record: Record, *, eps: float, examined: tuple[Check, ...] = ()) -> Evaluation:
        """All that a record holds of finished attacks with one eps, whichever call ran them.

        Args:
            record: with at least the clean images.
            eps: of the attacks that it bounds; those that ran with another are left out.
            examined: as above.
        """
        settings = {
            name: record.settings[name]
            for name in (CLEAN, *ATTACKS)
            if name in record.settings
            and record.settings[name].get("eps", eps) == eps
            and len(record.outcomes.of(name)) == record.settings[name].get("images", len(record.outcomes.of(name)))
        }
        return cls(record.outcomes.of(*settings), settings, record.seconds, examined)

    def __getitem__(self, name: str) -> Row:
        """The row of an attack, of "clean" or of "worst_case"."""
        return {row.name: row for row in self.rows}[name]

    def to_json(self) -> list[dict[str, Any]]:
        """The rows as JSON values: the list "attacks" of a results.json."""
        return [dataclasses.asdict(row) for row in self.rows]

    def table(self) -> list[tuple[str, ...]]:
        """The rows as text: title, robust of images, accuracy, 95% interval, seconds."""
        return [
            (
                row.title,
                f"{row.robust}/{row.images}",
                f"{row.accuracy:.1%}",
                f"{row.low:.1%} to {row.high:.1%}",
                f"{row.seconds:.1f}",
            )
            for row in self.rows
        ]


def _row(name: str, title: str, broken: NDArray[np.bool_], settings: dict[str, Any], seconds: float) -> Row:
    robust, images = int((~broken).sum()), len(broken)
    interval = binomtest(robust, images).proportion_ci(confidence_level=0.95, method="wilson")
    return Row(
        name=name,
        title=title,
        images=images,
        robust=robust,
        accuracy=robust / images,
        low=float(interval.low),
        high=float(interval.high),
        settings=settings,
        seconds=seconds,
    )
