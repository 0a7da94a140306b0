"""From outcomes to robust accuracy: one row an attack, the clean images before, the worst case after.

A 95% Wilson interval (Wilson 1927, "Probable Inference, the Law of Succession, and Statistical Inference", JASA 22)
says how far a set of that size pins the accuracy down.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from functools import reduce
from typing import Any

import numpy as np

from rnas.evaluation.card import AttackCard, Settings
from rnas.evaluation.comparison import compare
from rnas.evaluation.config import EvaluationConfig
from rnas.evaluation.outcomes import Outcomes
from rnas.evaluation.records import Record
from rnas.evaluation.suite import ATTACKS
from rnas.run.attack_results import CLEAN_ORDER, OTHERS, AttackResult, Check

__all__ = ["Evaluation"]

CLEAN = "clean"
WORST_CASES = {"Linf": "worst_case", "L2": "worst_case_l2"}
"""Names of the rows of the worst case over the attacks that are bounded in a norm."""


class Evaluation:
    """The result of `evaluate`.

    The worst case counts an image as robust if no attack broke it, over the attacks that eps bounds, on the images that
    all of them saw; its settings name them. There is one for Linf and one for L2, each left out where no such attack
    ran. C&W and DeepFool, which only keep the distance small, and corruptions take no part.

    Args:
        outcomes: of the clean images and of every attack.
        settings: of each attack, by name, in the order to report; "clean" comes first.
        seconds: taken by each, by name; in a collection by each member.
        examined: what `sanity.examine` said of the model; `sanity` holds it, and what `comparison.compare` said of the
            outcomes.
        remarks: of the attacks' own code, by the attack's name; those of other attacks are left out.
    """

    def __init__(
        self,
        outcomes: Outcomes,
        settings: dict[str, Settings],
        seconds: dict[str, float],
        examined: tuple[Check, ...] = (),
        remarks: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        self.outcomes = outcomes
        self.examined = examined
        said = {name: remarks[name] for name in settings if remarks and name in remarks}
        self.sanity = (*examined, *compare(outcomes, said))
        total = len(outcomes.of(CLEAN))
        spent = {
            name: sum(value for part, value in seconds.items() if part.partition("/")[0] == name) for name in settings
        }
        rows = []
        bounded: dict[str, dict[str, Outcomes]] = {norm: {} for norm in WORST_CASES}
        for name, chosen in settings.items():
            attacked = outcomes.of(name)
            card = None if name == CLEAN else ATTACKS[name]
            title = "Clean" if card is None else card.title
            if card is not None and card.norm is not None:
                bounded[card.norm][name] = attacked
            rows.append(_row(name, _on(title, attacked, total), attacked, dict(chosen), spent[name], card))
        for place, (norm, attacks) in enumerate(bounded.items(), start=OTHERS + 1):
            if attacks:
                worst, time = _worst_case(list(attacks.values())), sum(spent[name] for name in attacks)
                title = _on(f"Worst case, {norm}", worst, total)
                eps = {key: value for key, value in settings[next(iter(attacks))].items() if key == "eps"}
                row = _row(WORST_CASES[norm], title, worst, {**eps, "attacks": list(attacks)}, time, None)
                rows.append(dataclasses.replace(row, order=place))
        self.rows = tuple(rows)

    @classmethod
    def of(cls, record: Record[Outcomes], config: EvaluationConfig, *, examined: tuple[Check, ...] = ()) -> Evaluation:
        """All that a record holds of finished attacks within the same bounds, whichever call ran them.

        Args:
            record: with at least the clean images.
            config: with eps and eps_l2; attacks that ran with others are left out.
            examined: as above.
        """
        settings: dict[str, Settings] = {CLEAN: {}}
        for name in dict.fromkeys(part.partition("/")[0] for part in record.settings if part != CLEAN):
            card = ATTACKS[name]
            parts = list(card.members(name))
            if not all(part in record.settings for part in parts):
                continue
            recorded = record.settings[parts[0]]
            finished = len(record.outcomes.of(name)) == len(parts) * int(recorded["images"])
            if finished and recorded.get("eps") == card.eps(config):
                own = recorded if card.parts is None else {**card.settings(config), "images": recorded["images"]}
                settings[name] = own
        return cls(record.outcomes.of(*settings), settings, record.seconds, examined, record.remarks)

    def __getitem__(self, name: str) -> AttackResult:
        """The row of an attack, of "clean", or of a worst case."""
        return {row.name: row for row in self.rows}[name]

    def to_json(self) -> list[dict[str, Any]]:
        """The rows as JSON values: the list "attacks" of a results.json."""
        return [row.to_json() for row in self.rows]

    def table(self) -> list[tuple[str, ...]]:
        """The rows as text: title, robust of images, accuracy, 95% interval, seconds."""
        return [
            (
                row.title,
                f"{row.robust}/{row.images}",
                f"{row.accuracy:.1%}",
                f"{row.low:.1%} to {row.high:.1%}",
                "" if row.seconds is None else f"{row.seconds:.1f}",
            )
            for row in self.rows
        ]


def _on(title: str, attacked: Outcomes, total: int) -> str:
    """A title that says where not all images were attacked."""
    different = len(np.unique(attacked.image))
    return title if different == total else f"{title} ({different} of {total} images)"


def _worst_case(attacks: Sequence[Outcomes]) -> Outcomes:
    """Images that all attacks saw, broken where one of them broke them; the other columns are the first one's."""
    common = reduce(np.intersect1d, [attacked.image for attacked in attacks])
    broken = np.any([attacked.on(common).broken for attacked in attacks], axis=0)
    return dataclasses.replace(attacks[0].on(common), broken=broken)


def _row(
    name: str, title: str, attacked: Outcomes, settings: dict[str, Any], seconds: float, card: AttackCard | None
) -> AttackResult:
    robust, images = int((~attacked.broken).sum()), len(attacked)
    low, high = wilson(robust / images, len(np.unique(attacked.image)))
    members = [member for member in dict.fromkeys(attacked.attack.tolist()) if member.startswith(f"{name}/")]
    changed = attacked.l2[attacked.broken & (attacked.l2 > 0)]
    return AttackResult(
        name=name,
        title=title,
        images=images,
        accuracy=robust / images,
        low=low,
        high=high,
        median_l2=float(np.median(changed)) if len(changed) and name not in WORST_CASES.values() else None,
        settings=settings,
        source="" if card is None else card.source,
        seconds=seconds,
        parts={member.partition("/")[2]: 1 - float(attacked.of(member).broken.mean()) for member in members},
        order=CLEAN_ORDER if card is None else card.order,
        bounded=card is None or card.norm is not None,
    )


def wilson(share: float, count: int) -> tuple[float, float]:
    """The 95% interval of a share; scipy's takes counts only, and the share of a collection is no count of its images.

    Args:
        share: that was seen, in [0, 1].
        count: of how many, >= 1.
    """
    from scipy.special import ndtri  # takes as long to import as half of torch, and is needed at the end only

    z = float(ndtri(0.975))  # the quantile of the normal distribution
    centre, width = share + z**2 / (2 * count), z * (share * (1 - share) / count + (z / (2 * count)) ** 2) ** 0.5
    scale = 1 + z**2 / count
    # Exactly at the ends, where rounding would leave the share outside.
    return min(share, max(0.0, (centre - width) / scale)), max(share, min(1.0, (centre + width) / scale))
