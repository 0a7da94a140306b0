"""What a results.json says of one attack, and of the evaluation itself: written and read."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from rnas.documents import count, is_number, part, share, whole
from rnas.errors import RunError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["CLEAN_ORDER", "OTHERS", "AttackResult", "Check", "read_head"]

#: Where the column of clean images stands, and that of an attack of which nothing is said; worst cases come after it.
CLEAN_ORDER = 0
OTHERS = 5


@dataclass(frozen=True)
class AttackResult:
    """How a model fared under one attack.

    Args:
        name: the attack, for example "pgd20"; "clean" for none, "worst_case" or "worst_case_l2" for several together.
        title: the name as it should be read.
        images: how many were attacked; in a collection each counts once for every member.
        accuracy: fraction that is classified correctly before and after, in [0, 1].
        low: lower end of its 95% interval (Wilson), in [0, 1]. Members of a collection see the same images and are not
            independent; its interval is that of as many images as there are, which is wide enough for any dependence.
        high: upper end, in [0, 1].
        settings: what the attack ran with.
        seconds: time it took, over all sessions of an evaluation that was interrupted, or None.
        call: what a manifest says of the call that ran it; empty if it is not recorded.
        parts: in a collection the accuracy under each member, in [0, 1], by its name: "fog/1".
        median_l2: median Euclidean norm of the changes that broke images, in units of images in [0, 1]; None if none
            was broken. It says how much an attack without a bound had to change.
        source: where the attack comes from; empty for the clean images and the worst case.
        order: where its column stands in tables, mildest first.
        bounded: whether its images lie within a distance that was set, as clean ones do. C&W and DeepFool only
            keep the distance small, and corruptions follow severities: their accuracies are no rungs on the ladder of
            the others.
    """

    name: str
    title: str
    images: int
    accuracy: float
    low: float
    high: float
    settings: Mapping[str, Any] = field(default_factory=dict)
    seconds: float | None = None
    call: Mapping[str, Any] = field(default_factory=dict)
    parts: Mapping[str, float] = field(default_factory=dict)
    median_l2: float | None = None
    source: str = ""
    order: int = OTHERS
    bounded: bool = True

    @property
    def robust(self) -> int:
        """How many of the images are classified correctly before and after."""
        return round(self.accuracy * self.images)

    def to_json(self) -> dict[str, Any]:
        """An entry of the list "attacks" of a results.json, without its call."""
        return {
            "name": self.name,
            "title": self.title,
            "images": self.images,
            "robust": self.robust,
            "accuracy": self.accuracy,
            "low": self.low,
            "high": self.high,
            "median_l2": self.median_l2,
            "settings": dict(self.settings),
            "source": self.source,
            "seconds": self.seconds,
            "parts": dict(self.parts),
            "order": self.order,
            "bounded": self.bounded,
        }

    @classmethod
    def from_json(cls, document: Any, calls: Sequence[Mapping[str, Any]], where: str) -> AttackResult:
        """Read what `to_json` gave.

        Args:
            document: the entry.
            calls: of the same file, in which it may name one by its position.
            where: the file and the place in it, for errors.

        Raises:
            RunError: if a value is missing, of another type or out of its range.
        """
        where, call = read_head(document, calls, where)
        seconds, median_l2 = (document.get(key) for key in ("seconds", "median_l2"))
        parts = part(document, "parts", where)
        if not all(is_number(value) and 0.0 <= float(value) <= 1.0 for value in parts.values()):
            raise RunError(f"{where}: 'parts' should be numbers in [0, 1], are {json.dumps(parts)[:60]}")
        return cls(
            name=document["name"],
            title=str(document.get("title") or document["name"]),
            images=count(document, "images", where),
            accuracy=share(document, "accuracy", where),
            low=share(document, "low", where),
            high=share(document, "high", where),
            settings=part(document, "settings", where),
            seconds=float(seconds) if is_number(seconds) and seconds is not None else None,
            call=call,
            parts=parts,
            median_l2=float(median_l2) if is_number(median_l2) and median_l2 is not None else None,
            source=str(document.get("source") or ""),
            order=_order(document, where),
            bounded=_bounded(document, where),
        )


def read_head(document: Any, calls: Sequence[Mapping[str, Any]], where: str) -> tuple[str, Mapping[str, Any]]:
    """What stands at the beginning of each entry of a results.json.

    Args:
        document: the entry.
        calls: of the same file, in which it may name one by its position.
        where: the file and the place in it, for errors.

    Returns:
        The place with the entry's name; and the call that made it, empty if it is not recorded.

    Raises:
        RunError: if it has no name, or a call that is not there.
    """
    if not isinstance(document, dict) or not isinstance(document.get("name"), str):
        raise RunError(f"{where}: expected an object with a 'name'")
    where = f"{where} ({document['name']!r})"
    call = whole(document, "call", where)
    if call is not None and not 0 <= call < len(calls):
        raise RunError(f"{where}: 'call' should be a position in 'calls', is {call}")
    return where, {} if call is None else calls[call]


def _order(document: Mapping[str, Any], where: str) -> int:
    order = whole(document, "order", where)
    if order is None:  # written before attacks' cards said it
        names = {"clean": CLEAN_ORDER, "fgsm": 1, "cw": 3, "autoattack": 4}
        names |= {"worst_case": OTHERS + 1, "worst_case_l2": OTHERS + 2}
        order = 2 if re.match(r"pgd\d", document["name"]) else names.get(document["name"], OTHERS)
    return order


def _bounded(document: Mapping[str, Any], where: str) -> bool:
    bounded = document.get("bounded")
    if bounded is None:  # likewise
        name = document["name"]
        bounded = name == "clean" or name.startswith("worst_case") or "eps" in part(document, "settings", where)
    if not isinstance(bounded, bool):
        raise RunError(f"{where}: 'bounded' should be true or false, is {json.dumps(bounded)[:60]}")
    return bounded


@dataclass(frozen=True)
class Check:
    """A verdict on an evaluation itself.

    Args:
        name: the check: clean_accuracy, normalisation, logits, repeatable, batch, gradients, derivative, steps,
            one_step, unbounded, random_search, constant, view, bounds, stronger, black_box or remarks.
        passed: false where the robust accuracies should not be believed before the finding is explained.
        finding: what was seen, in one sentence.
    """

    name: str
    passed: bool
    finding: str

    def to_json(self) -> dict[str, str | bool]:
        """An entry of the list "sanity" of a results.json."""
        return {"name": self.name, "passed": self.passed, "finding": self.finding}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Check:
        """Read what `to_json` gave."""
        return cls(str(document.get("name")), bool(document.get("passed")), str(document.get("finding")))
