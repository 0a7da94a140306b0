"""What a results.json says that is proved of a model: written and read."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

from rnas.documents import count, is_number, part, share, whole
from rnas.errors import RunError
from rnas.run.attack_results import read_head

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["Bracket", "CertificateResult"]

#: A curve: radii and the share of images at each, both in rising order of the radius.
Curve = tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Bracket:
    """Between what the robust accuracy lies: what is proved, and what attacks left, both of the same images.

    Args:
        images: that were certified and attacked.
        certified: share proved to be classified correctly in the whole ball, in [0, 1].
        attacked: share that no attack changed within the ball, in [0, 1].
        attacks: that were made on any of them.
        broken: images that are proved and were broken all the same: 0, or a proof or an attack is wrong.
        curve: share that no attack changed within each radius.
    """

    images: int
    certified: float
    attacked: float
    attacks: tuple[str, ...]
    broken: int
    curve: Curve = ()


@dataclass(frozen=True)
class CertificateResult:
    """How much a method proves of a model.

    Args:
        name: the method, such as "interval"; "any" for several together, each image by the best of them.
        title: the name as it should be read.
        norm: "Linf" or "L2".
        eps: radius of the ball, in units of images in [0, 1].
        images: how many were tried.
        clean: share that is classified correctly, by a smoothed model where it does not abstain, in [0, 1].
        accuracy: share that is proved to be classified correctly in the whole ball, in [0, 1].
        low: lower end of its 95% interval (Wilson), in [0, 1].
        high: upper end, in [0, 1].
        certain: whether each is a proof, and not only probable.
        settings: what the method ran with.
        seconds: time it took, over all sessions, or None.
        call: what a manifest says of the call that ran it; empty if it is not recorded.
        curve: share certified within each radius.
        source: where the method comes from.
        bracket: what attacks leave; None where none was made on these images in this norm.
    """

    name: str
    title: str
    norm: str
    eps: float
    images: int
    clean: float
    accuracy: float
    low: float
    high: float
    certain: bool = True
    settings: Mapping[str, Any] = field(default_factory=dict)
    seconds: float | None = None
    call: Mapping[str, Any] = field(default_factory=dict)
    curve: Curve = ()
    source: str = ""
    bracket: Bracket | None = None

    @property
    def certified(self) -> int:
        """How many images are certified."""
        return round(self.accuracy * self.images)

    def to_json(self) -> dict[str, Any]:
        """An entry of the list "certificates" of a results.json, without its call."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        del values["call"], values["bracket"]
        values |= {"settings": dict(self.settings), "certified": self.certified}
        if self.bracket is not None:
            values["bracket"] = {**vars(self.bracket), "attacks": list(self.bracket.attacks)}
        return values

    @classmethod
    def from_json(cls, document: Any, calls: Sequence[Mapping[str, Any]], where: str) -> CertificateResult:
        """Read what `to_json` gave.

        Args:
            document: the entry.
            calls: of the same file, in which it may name one by its position.
            where: the file and the place in it, for errors.

        Raises:
            RunError: if a value is missing, of another type or out of its range.
        """
        where, call = read_head(document, calls, where)
        if document.get("norm") not in ("Linf", "L2") or not isinstance(document.get("certain"), bool):
            raise RunError(f"{where}: expected 'norm' to be Linf or L2, and 'certain' true or false")
        bracket = part(document, "bracket", where)
        return cls(
            name=document["name"],
            title=str(document.get("title") or document["name"]),
            norm=document["norm"],
            eps=_number(document, "eps", where),
            images=count(document, "images", where),
            **{key: share(document, key, where) for key in ("clean", "accuracy", "low", "high")},
            certain=document["certain"],
            settings=part(document, "settings", where),
            seconds=None if document.get("seconds") is None else _number(document, "seconds", where),
            call=call,
            curve=_curve(document, where),
            source=str(document.get("source") or ""),
            bracket=_bracket(bracket, where) if bracket else None,
        )


def _bracket(document: Mapping[str, Any], where: str) -> Bracket:
    attacks = document.get("attacks")
    if not isinstance(attacks, list) or not all(isinstance(name, str) for name in attacks):
        raise RunError(f"{where}: 'attacks' should be a list of names")
    broken = whole(document, "broken", where)
    return Bracket(
        images=count(document, "images", where),
        certified=share(document, "certified", where),
        attacked=share(document, "attacked", where),
        attacks=tuple(attacks),
        broken=broken or 0,
        curve=_curve(document, where),
    )


def _number(document: Mapping[str, Any], key: str, where: str) -> float:
    value = document.get(key)
    if not is_number(value) or float(value or 0.0) < 0.0:
        raise RunError(f"{where}: {key!r} should be a number >= 0, is {value!r}")
    return float(value or 0.0)


def _curve(document: Mapping[str, Any], where: str) -> Curve:
    points = document.get("curve", [])
    if not isinstance(points, list) or not all(
        isinstance(point, list) and len(point) == 2 and all(is_number(value) and value is not None for value in point)
        for point in points
    ):
        raise RunError(f"{where}: 'curve' should be a list of pairs of numbers")
    return tuple((float(radius), float(share)) for radius, share in points)
