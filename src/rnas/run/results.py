"""results.json, written and read: of a model what it classifies correctly under each attack, of a recipe its models."""

from __future__ import annotations

import json
from dataclasses import dataclass
from types import NoneType
from typing import TYPE_CHECKING, Any

from rnas.documents import check_fields, entries, part, whole
from rnas.errors import RunError
from rnas.run.attack_results import AttackResult, Check
from rnas.run.certificate_results import CertificateResult
from rnas.run.files import require_object
from rnas.run.manifest import check_manifest

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["AttackResult", "CertificateResult", "Check", "ModelResults", "RecipeResults", "read_results"]


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
        radius: of the attacks, as it was written; empty if it is not recorded.
        radius_from: where it comes from: "command", "training" or "default"; empty if it is not recorded.
        size: height and width of the images in pixels, or None if they are not recorded.
        sanity: verdicts on the evaluation itself.
        model: fingerprint of the model that was attacked, or empty.
        weights: digest of its weights.safetensors as it was then, or empty.
        source: what was evaluated, as the command named it, or empty.
        test_images: how many the data set has, or None.
        certificates: what is proved of it, a row for each method.
    """

    name: str
    attacks: tuple[AttackResult, ...]
    parameters: int | None = None
    data: str = ""
    fingerprint: str = ""
    images: int | None = None
    classes: int | None = None
    class_names: tuple[str, ...] = ()
    radius: str = ""
    radius_from: str = ""
    size: tuple[int, int] | None = None
    sanity: tuple[Check, ...] = ()
    model: str = ""
    weights: str = ""
    source: str = ""
    test_images: int | None = None
    certificates: tuple[CertificateResult, ...] = ()

    @property
    def eps(self) -> str:
        """The radius of the attacks in words; empty if it is not recorded."""
        return f"{self.radius}{', as in training' if self.radius_from == 'training' else ''}"

    @property
    def judgements(self) -> tuple[AttackResult | CertificateResult, ...]:
        """What attacks left, and what is proved."""
        return (*self.attacks, *self.certificates)

    @property
    def doubts(self) -> tuple[Check, ...]:
        """The sanity checks that failed."""
        return tuple(check for check in self.sanity if not check.passed)

    def attack(self, name: str) -> AttackResult | None:
        """The result under an attack, or None if it was not run."""
        return next((attack for attack in self.attacks if attack.name == name), None)

    def to_json(self) -> dict[str, Any]:
        """The content of a results.json; `from_json` reads it back. Each call stands there once."""
        calls: list[Mapping[str, Any]] = []

        def entry(result: AttackResult | CertificateResult) -> dict[str, Any]:
            if result.call and result.call not in calls:
                calls.append(result.call)
            return {**result.to_json(), **({"call": calls.index(result.call)} if result.call else {})}

        attacks, certificates = list(map(entry, self.attacks)), list(map(entry, self.certificates))
        return {
            "model": {
                "name": self.name,
                "parameters": self.parameters,
                "source": self.source,
                **({"weights": self.weights} if self.weights else {}),
                "fingerprint": self.model,
            },
            "data": {
                "name": self.data,
                "fingerprint": self.fingerprint,
                "images": self.images,
                "test_images": self.test_images,
                "classes": self.classes,
                "size": None if self.size is None else list(self.size),
                **({"class_names": list(self.class_names)} if self.class_names else {}),
            },
            "eps": {"value": self.radius, "from": self.radius_from or None} if self.radius else {},
            "sanity": [check.to_json() for check in self.sanity],
            "attacks": attacks,
            **({"certificates": certificates} if certificates else {}),
            **({"calls": calls} if calls else {}),
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any], where: str, *, name: str) -> ModelResults:
        """Read what `to_json` gave, or an older version.

        Args:
            document: the content of a results.json.
            where: the file, for errors.
            name: the model's name, where the document gives none.

        Raises:
            RunError: if a value is missing, of another type or out of its range.
        """
        model, data, eps = (part(document, key, where) for key in ("model", "data", "eps"))
        attacks = document.get("attacks")
        if not isinstance(attacks, list):
            raise RunError(f"{where}: expected a list 'attacks', got {type(attacks).__name__}")
        calls = entries(document, "calls", where)
        for call in calls:
            check_manifest(call, where)
        results = tuple(
            AttackResult.from_json(attack, calls, f"{where}, attack {number}")
            for number, attack in enumerate(attacks, start=1)
        )
        certificates = tuple(
            CertificateResult.from_json(row, calls, f"{where}, certificate {number}")
            for number, row in enumerate(entries(document, "certificates", where), start=1)
        )
        names = [result.name for result in results]
        if len(set(names)) < len(names):
            raise RunError(f"{where}: an attack is listed twice: {', '.join(names)}")
        if eps:
            check_fields(eps, {"value": (str, int, float), "from": (str, NoneType)}, where)
        return cls(
            name=str(model.get("name") or name),
            attacks=results,
            parameters=whole(model, "parameters", where),
            data=str(data.get("name") or ""),
            fingerprint=str(data.get("fingerprint") or ""),
            images=whole(data, "images", where),
            classes=whole(data, "classes", where),
            class_names=_names(data, "class_names", where),
            radius=str(eps.get("value", "")),
            radius_from=str(eps.get("from") or ""),
            size=_size(data, where),
            sanity=tuple(map(Check.from_json, entries(document, "sanity", where))),
            model=str(model.get("fingerprint") or ""),
            weights=str(model.get("weights") or ""),
            source=str(model.get("source") or ""),
            test_images=whole(data, "test_images", where),
            certificates=certificates,
        )


@dataclass(frozen=True)
class RecipeResults:
    """The results of a recipe's stages.

    Args:
        models: the found network's results and the baseline's.
        vulnerability: where F of both is, a path from the run's folder; empty in runs of older versions.
    """

    models: tuple[ModelResults, ...]
    vulnerability: str = ""

    def to_json(self) -> dict[str, Any]:
        """The content of a recipe's results.json; `from_json` reads it back."""
        return {"models": [model.to_json() for model in self.models], "vulnerability": self.vulnerability}

    @classmethod
    def from_json(cls, document: Mapping[str, Any], where: str) -> RecipeResults:
        """Read what `to_json` gave; arguments and errors are those of `ModelResults.from_json`."""
        models = enumerate(entries(document, "models", where), start=1)
        return cls(
            tuple(
                ModelResults.from_json(model, f"{where}, model {number}", name=str(number)) for number, model in models
            ),
            str(document.get("vulnerability") or ""),
        )


def read_results(path: Path) -> ModelResults:
    """Read a model's results.json.

    Raises:
        RunError: if there is no such file, or it is damaged.
    """
    document = require_object(path, f"{path}: no such results file")
    return ModelResults.from_json(document, str(path), name=path.parent.name)


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
