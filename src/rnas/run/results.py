"""A model's results.json: how many images it classifies correctly under each attack."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from types import NoneType
from typing import TYPE_CHECKING, Any

from rnas.documents import check_fields, is_number
from rnas.errors import RunError
from rnas.run.files import read_object
from rnas.run.manifest import check_manifest

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = [
    "AttackResult",
    "ModelResults",
    "Verdict",
    "parse_results",
    "read_results",
]


@dataclass(frozen=True)
class AttackResult:
    """How a model fared under one attack.

    Args:
        name: the attack, for example "pgd20"; "clean" for none.
        title: the name as it should be read.
        images: number of images that were attacked; in a collection each counts once for every member.
        accuracy: fraction that is still classified correctly, in [0, 1].
        low: lower end of the 95% interval (Wilson), in [0, 1].
        high: upper end, in [0, 1].
        settings: what the attack ran with.
        seconds: time it took, or None.
        call: what a manifest says of the call that ran it; empty if it is not recorded.
        parts: in a collection the accuracy under each member, in [0, 1], by its name: "fog/1".
        median_l2: median Euclidean norm of the changes that broke images, or None.
        source: where the attack comes from, or empty.
        order: where its column stands in tables, mildest first.
        bounded: whether its images lie within a distance that was set, as clean ones do. C&W only keeps the distance
            small, and corruptions follow severities: their accuracies are no rungs on the ladder of the others.
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
    order: int = 5
    bounded: bool = True


@dataclass(frozen=True)
class Verdict:
    """A sanity check of an evaluation.

    Args:
        name: the check.
        passed: whether it held.
        finding: what was seen.
    """

    name: str
    passed: bool
    finding: str


@dataclass(frozen=True)
class ModelResults:
    """A model and its results.

    Args:
        name: the model, unique in a table.
        attacks: in the order in which they were run.
        parameters: number of its parameters, or None if it is not recorded.
        data: name of the data set.
        fingerprint: of the data set; only models with the same one are compared.
        images: number of test images that an attack could have used, or None.
        classes: number of classes, or None.
        class_names: what they are called, in the order of the labels; empty if they are only numbered.
        eps: radius of the attacks as it was written and where it comes from; empty if it is not recorded.
        size: height and width of the images in pixels, or None if they are not recorded.
        sanity: verdicts on the evaluation itself.
        model: fingerprint of the model that was attacked, or empty.
        weights: digest of its weights.safetensors as it was then, or empty.
    """

    name: str
    attacks: tuple[AttackResult, ...]
    parameters: int | None = None
    data: str = ""
    fingerprint: str = ""
    images: int | None = None
    classes: int | None = None
    class_names: tuple[str, ...] = ()
    eps: str = ""
    size: tuple[int, int] | None = None
    sanity: tuple[Verdict, ...] = ()
    model: str = ""
    weights: str = ""

    @property
    def radius(self) -> str:
        """The radius of the attacks alone, as it was written."""
        return self.eps.partition(",")[0]

    @property
    def doubts(self) -> tuple[Verdict, ...]:
        """The sanity checks that failed."""
        return tuple(verdict for verdict in self.sanity if not verdict.passed)

    def attack(self, name: str) -> AttackResult | None:
        """The result under an attack, or None if it was not run."""
        return next((attack for attack in self.attacks if attack.name == name), None)


def read_results(path: Path) -> ModelResults:
    """Read a model's results.json.

    Raises:
        RunError: if there is no such file, or it is damaged.
    """
    document = read_object(path)
    if document is None:
        raise RunError(f"{path}: no such results file")
    return parse_results(document, str(path), name=path.parent.name)


def parse_results(document: Mapping[str, Any], where: str, *, name: str) -> ModelResults:
    """The results in the content of a results.json.

    Args:
        document: the content.
        where: the file, for errors.
        name: the model's name, where the document gives none.

    Raises:
        RunError: if a value is missing, of another type or out of its range.
    """
    model, data = (_part(document, key, where) for key in ("model", "data"))
    attacks = document.get("attacks")
    if not isinstance(attacks, list):
        raise RunError(f"{where}: expected a list 'attacks', got {type(attacks).__name__}")
    calls = _list(document, "calls", where)
    for call in calls:
        check_manifest(call, where)
    results = tuple(
        _attack(attack, calls, f"{where}, attack {number}") for number, attack in enumerate(attacks, start=1)
    )
    names = [result.name for result in results]
    if len(set(names)) < len(names):
        raise RunError(f"{where}: an attack is listed twice: {', '.join(names)}")
    return ModelResults(
        name=str(model.get("name") or name),
        attacks=results,
        parameters=_whole(model, "parameters", where),
        data=str(data.get("name") or ""),
        fingerprint=str(data.get("fingerprint") or ""),
        images=_whole(data, "images", where),
        classes=_whole(data, "classes", where),
        class_names=_names(data, "class_names", where),
        eps=_eps(_part(document, "eps", where), where),
        size=_size(data, where),
        sanity=tuple(
            Verdict(str(check.get("name")), bool(check.get("passed")), str(check.get("finding")))
            for check in _list(document, "sanity", where)
        ),
        model=str(model.get("fingerprint") or ""),
        weights=str(model.get("weights") or ""),
    )


def _part(document: Mapping[str, Any], key: str, where: str) -> Mapping[str, Any]:
    part = document.get(key, {})
    if not isinstance(part, dict):
        raise RunError(f"{where}: {key!r} should be an object, is {type(part).__name__}")
    return part


def _list(document: Mapping[str, Any], key: str, where: str) -> list[dict[str, Any]]:
    entries = document.get(key, [])
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise RunError(f"{where}: {key!r} should be a list of objects")
    return entries


def _names(document: Mapping[str, Any], key: str, where: str) -> tuple[str, ...]:
    names = document.get(key, [])
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise RunError(f"{where}: {key!r} should be a list of names")
    return tuple(names)


def _size(document: Mapping[str, Any], where: str) -> tuple[int, int] | None:
    size = document.get("size")
    if size is None:
        return None
    if not isinstance(size, list) or [type(pixels) for pixels in size] != [int, int] or min(size) < 1:
        raise RunError(f"{where}: 'size' should be height and width in pixels, is {json.dumps(size)[:60]}")
    return size[0], size[1]


def _eps(document: Mapping[str, Any], where: str) -> str:
    if document:
        check_fields(document, {"value": (str, int, float), "from": (str, NoneType)}, where)
    return f"{document['value']}{', as in training' if document.get('from') == 'training' else ''}" if document else ""


def _attack(document: Any, calls: list[dict[str, Any]], where: str) -> AttackResult:
    if not isinstance(document, dict) or not isinstance(document.get("name"), str):
        raise RunError(f"{where}: expected an object with a 'name'")
    where = f"{where} ({document['name']!r})"
    images = _whole(document, "images", where)
    if images is None or images < 1:
        raise RunError(f"{where}: 'images' should be a positive integer, is {document.get('images')!r}")
    fractions = []
    for key in ("accuracy", "low", "high"):
        value = document.get(key)
        if not is_number(value) or not 0.0 <= float(value or 0.0) <= 1.0:
            raise RunError(f"{where}: {key!r} should be a number in [0, 1], is {value!r}")
        fractions.append(float(value or 0.0))
    seconds, median_l2 = (document.get(key) for key in ("seconds", "median_l2"))
    call = _whole(document, "call", where)
    if call is not None and not 0 <= call < len(calls):
        raise RunError(f"{where}: 'call' should be a position in 'calls', is {call}")
    parts = _part(document, "parts", where)
    if not all(is_number(value) and 0.0 <= float(value) <= 1.0 for value in parts.values()):
        raise RunError(f"{where}: 'parts' should be numbers in [0, 1], are {json.dumps(parts)[:60]}")
    return AttackResult(
        name=document["name"],
        title=str(document.get("title") or document["name"]),
        images=images,
        accuracy=fractions[0],
        low=fractions[1],
        high=fractions[2],
        settings=_part(document, "settings", where),
        seconds=float(seconds) if is_number(seconds) and seconds is not None else None,
        call={} if call is None else calls[call],
        parts=parts,
        median_l2=float(median_l2) if is_number(median_l2) and median_l2 is not None else None,
        source=str(document.get("source") or ""),
        order=_order(document, where),
        bounded=_bounded(document, where),
    )


def _order(document: Mapping[str, Any], where: str) -> int:
    order = _whole(document, "order", where)
    if order is None:  # written before attacks' cards said it
        names = {"clean": 0, "fgsm": 1, "cw": 3, "autoattack": 4, "worst_case": 6, "worst_case_l2": 7}
        order = 2 if re.match(r"pgd\d", document["name"]) else names.get(document["name"], 5)
    return order


def _bounded(document: Mapping[str, Any], where: str) -> bool:
    bounded = document.get("bounded")
    if bounded is None:  # likewise
        name = document["name"]
        bounded = name == "clean" or name.startswith("worst_case") or "eps" in _part(document, "settings", where)
    if not isinstance(bounded, bool):
        raise RunError(f"{where}: 'bounded' should be true or false, is {json.dumps(bounded)[:60]}")
    return bounded


def _whole(document: Mapping[str, Any], key: str, where: str) -> int | None:
    value = document.get(key)
    if value is not None and (not isinstance(value, int) or isinstance(value, bool)):
        raise RunError(f"{where}: {key!r} should be an integer, is {value!r}")
    return value
