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

from rnas.evaluation.card import Settings
from rnas.evaluation.config import EvaluationConfig
from rnas.evaluation.outcomes import Outcomes, Record
from rnas.evaluation.sanity import Check, compare
from rnas.evaluation.suite import ATTACKS

__all__ = ["Evaluation", "Row"]

CLEAN = "clean"
WORST_CASES = {"Linf": "worst_case", "L2": "worst_case_l2"}
"""Names of the rows of the worst case over the attacks that are bounded in a norm."""


@dataclass(frozen=True)
class Row:
    """Robust accuracy under one attack.

    Args:
        name: of the attack, "clean", "worst_case" or "worst_case_l2".
        title: as tables print it.
        images: how many were attacked; in a collection each counts once for every member.
        robust: how many of them are classified correctly before and after.
        accuracy: robust / images.
        low: lower end of the 95% Wilson interval of the accuracy. Members of a collection see the same images and are
            not independent; its interval is therefore that of as many images as there are, with the count that comes
            nearest to the accuracy, which is wide enough for any dependence.
        high: its upper end.
        settings: of the attack.
        seconds: time it took, over all sessions of an evaluation that was interrupted.
        parts: in a collection the accuracy under each member, by its name.
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
    parts: dict[str, float]


class Evaluation:
    """The result of `evaluate`.

    The worst case counts an image as robust if no attack broke it, over the attacks that eps bounds and that ran on all
    images; its settings name them. There is one for Linf and one for L2, each left out where no such attack ran. C&W,
    which only keeps the distance small, and corruptions take no part.

    Args:
        outcomes: of the clean images and of every attack.
        settings: of each attack, by name, in the order to report; "clean" comes first.
        seconds: taken by each, by name; in a collection by each member.
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
        spent = {
            name: sum(value for part, value in seconds.items() if part.partition("/")[0] == name) for name in settings
        }
        rows = []
        complete: dict[str, dict[str, NDArray[np.bool_]]] = {norm: {} for norm in WORST_CASES}
        for name, chosen in settings.items():
            attacked = outcomes.of(name)
            card = None if name == CLEAN else ATTACKS[name]
            title = "Clean" if card is None else card.title
            if len(attacked) < total:
                title = f"{title} ({len(attacked)} of {total} images)"
            elif card is not None and card.norm is not None:
                complete[card.norm][name] = attacked.broken
            rows.append(_row(name, title, attacked, dict(chosen), spent[name]))
        for norm, broken in complete.items():
            if broken:
                worst = dataclasses.replace(outcomes.of(CLEAN), broken=np.any(list(broken.values()), axis=0))
                time = sum(spent[name] for name in broken)
                rows.append(_row(WORST_CASES[norm], f"Worst case, {norm}", worst, {"attacks": list(broken)}, time))
        self.rows = tuple(rows)

    @classmethod
    def of(cls, record: Record, config: EvaluationConfig, *, examined: tuple[Check, ...] = ()) -> Evaluation:
        """All that a record holds of finished attacks within the same bounds, whichever call ran them.

        Args:
            record: with at least the clean images.
            config: with eps and eps_l2; attacks that ran with others are left out.
            examined: as above.
        """
        settings: dict[str, Settings] = {CLEAN: {}}
        for name in dict.fromkeys(part.partition("/")[0] for part in record.settings if part != CLEAN):
            card = ATTACKS[name]
            parts = [name] if card.parts is None else [f"{name}/{part}" for part in card.parts()]
            if not all(part in record.settings for part in parts):
                continue
            recorded = record.settings[parts[0]]
            finished = len(record.outcomes.of(name)) == len(parts) * int(recorded["images"])
            if finished and recorded.get("eps") == card.eps(config):
                own = recorded if card.parts is None else {**card.settings(config), "images": recorded["images"]}
                settings[name] = own
        return cls(record.outcomes.of(*settings), settings, record.seconds, examined)

    def __getitem__(self, name: str) -> Row:
        """The row of an attack, of "clean", or of a worst case."""
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


def _row(name: str, title: str, attacked: Outcomes, settings: dict[str, Any], seconds: float) -> Row:
    robust, images = int((~attacked.broken).sum()), len(attacked)
    different = len(np.unique(attacked.image))
    interval = binomtest(round(robust / images * different), different).proportion_ci(0.95, method="wilson")
    members = [member for member in dict.fromkeys(attacked.attack.tolist()) if member.startswith(f"{name}/")]
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
        parts={member.partition("/")[2]: 1 - float(attacked.of(member).broken.mean()) for member in members},
    )
