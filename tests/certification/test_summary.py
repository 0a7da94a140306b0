"""Certified, robust and attacked accuracy, of certificates and outcomes written by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rnas.certification.certificates import Certificates, read_certificates
from rnas.certification.summary import Certification, certificates_in
from rnas.evaluation.outcomes import Outcomes
from rnas.evaluation.records import Record
from rnas.run.certificate_results import CertificateResult

IDENTITY: dict[str, str | int] = {"model": "m", "images": "i", "seed": 0}
EPS = 0.1


def record(folder: Path | None, methods: dict[str, list[float]], **identity: Any) -> Record[Certificates]:
    """Four images of class 0, the last of which is misclassified, with their radii by each method."""
    found = Record(folder, IDENTITY | identity, Certificates)
    for method, radii in methods.items():
        found.begin(method, {"norm": "Linf", "eps": EPS}, len(radii))
        rows = Certificates(
            image=np.arange(len(radii)),
            label=np.zeros(len(radii), np.int64),
            method=np.full(len(radii), method),
            prediction=np.array([0, 0, 0, 1])[: len(radii)],
            radius=np.array(radii),
        )
        found.append(method, rows, 1.0)
    return found


def attacked(folder: Path | None, attacks: dict[str, list[float | None]], **identity: Any) -> Record[Outcomes]:
    """The distance in which each attack broke each image, None where it did not."""
    found = Record(folder, IDENTITY | identity, Outcomes)
    for name, distances in attacks.items():
        found.begin(name, {"norm": "Linf", "eps": EPS}, len(distances))
        count = len(distances)
        broken = np.array([distance is not None for distance in distances])
        change = np.array([distance or 0.0 for distance in distances])
        rows = Outcomes(
            image=np.arange(count),
            label=np.zeros(count, np.int64),
            clean_prediction=np.array([0, 0, 0, 1])[:count],
            attack=np.full(count, name),
            prediction=broken.astype(np.int64),
            broken=broken,
            margin=np.where(broken, -1.0, 1.0),
            linf=change,
            l2=2 * change,
            denied=np.zeros(count, bool),
        )
        found.append(name, rows, 1.0)
    return found


def test_accuracies_by_hand() -> None:
    rows = Certification.of(record(None, {"interval": [0.12, 0.1, 0.05, 0.0]}), 0.5)
    row = rows["interval"]
    assert (row.images, row.clean, row.accuracy, row.certified) == (4, 0.75, 0.5, 2)
    assert row.low < 0.5 < row.high
    curve = dict(row.curve)
    assert curve[0.0] == 0.75  # the images alone
    assert (curve[EPS], curve[0.12]) == (0.5, 0.25)
    assert max(curve) == 0.12  # beyond it nobody asked
    shares = [share for _, share in row.curve]
    assert shares == sorted(shares, reverse=True)
    assert [row.name for row in rows.rows] == ["interval"]


def test_the_best_of_several_methods() -> None:
    both = record(None, {"interval": [0.12, 0.0, 0.05, 0.0], "crown_ibp": [0.0, 0.2, 0.0, 0.0]})
    rows = Certification.of(both, 0.5)
    assert [row.accuracy for row in rows.rows] == [0.25, 0.25, 0.5]
    assert rows["any"].settings == {"methods": ["interval", "crown_ibp"]}
    # Of different images nothing can be said together.
    apart = record(None, {"interval": [0.12, 0.0, 0.05, 0.0], "crown_ibp": [0.0, 0.2]})
    assert [row.name for row in Certification.of(apart, 0.5).rows] == ["interval", "crown_ibp"]


def test_a_method_that_has_not_ended_is_not_told() -> None:
    begun = record(None, {"interval": [0.12, 0.1]})
    begun.settings["interval"]["images"] = 4
    assert Certification.of(begun, 0.5).rows == ()


def test_attacks_bound_from_above() -> None:
    found = record(None, {"interval": [0.12, 0.05, 0.0, 0.0]})
    # The second image breaks at 0.1, the third nearer than that, the fourth needs no attack.
    attacks = attacked(None, {"fgsm": [None, 0.1, None, 0.0], "pgd20": [None, 0.1, 0.07, 0.0]})
    bracket = Certification.of(found, 0.5, attacked=attacks)["interval"].bracket
    assert bracket is not None
    assert (bracket.images, bracket.certified, bracket.attacked, bracket.broken) == (4, 0.25, 0.25, 0)
    assert bracket.attacks == ("fgsm", "pgd20")
    left = dict(bracket.curve)
    assert left[0.0] == 0.75
    nearest = min(left, key=lambda radius: abs(radius - 0.08))
    assert left[nearest] == 0.5


def test_only_images_that_were_attacked_stand_in_the_bracket() -> None:
    found = record(None, {"interval": [0.12, 0.05, 0.0, 0.0]})
    bracket = Certification.of(found, 0.5, attacked=attacked(None, {"fgsm": [None, 0.1]}))["interval"].bracket
    assert bracket is not None
    assert (bracket.images, bracket.certified, bracket.attacked) == (2, 0.5, 0.5)


def test_corruptions_bound_nothing() -> None:
    found = record(None, {"interval": [0.12, 0.05, 0.0, 0.0]})
    attacks = attacked(None, {"corruptions/fog/1": [0.01, 0.01, 0.01, 0.0]})
    assert Certification.of(found, 0.5, attacked=attacks)["interval"].bracket is None


def test_a_proof_that_an_attack_refutes_is_counted() -> None:
    found = record(None, {"interval": [0.12, 0.1, 0.0, 0.0]})
    attacks = attacked(None, {"fgsm": [0.11, 0.1, None, 0.0]})
    bracket = Certification.of(found, 0.5, attacked=attacks)["interval"].bracket
    assert bracket is not None
    # 0.11 lies within 0.12; at exactly 0.1 rounding may decide.
    assert bracket.broken == 1


def test_files_of_one_model_are_told_together(tmp_path: Path) -> None:
    assert certificates_in(tmp_path, 0.5) == ()
    record(tmp_path, {"interval": [0.12, 0.1, 0.05, 0.0]})
    assert certificates_in(tmp_path, 0.5)[0].bracket is None
    attacked(tmp_path, {"fgsm": [None, 0.1, 0.1, 0.0]}, seed=7)
    bracket = certificates_in(tmp_path, 0.5)[0].bracket
    assert bracket is not None
    assert bracket.attacked == 0.25


@pytest.mark.parametrize("other", ["model", "images"])
def test_attacks_of_something_else_are_left_out(other: str, tmp_path: Path) -> None:
    record(tmp_path, {"interval": [0.12, 0.1, 0.05, 0.0]})
    attacked(tmp_path, {"fgsm": [None, 0.1, 0.1, 0.0]}, **{other: "another"})
    assert certificates_in(tmp_path, 0.5)[0].bracket is None


def test_what_is_written_is_read(tmp_path: Path) -> None:
    attacks = attacked(None, {"fgsm": [None, 0.1, 0.1, 0.0]})
    kept = record(tmp_path, {"interval": [0.12, 0.1, 0.05, 0.0], "crown": [0.13, 0.1, 0.05, 0.0]})
    assert read_certificates(tmp_path / "certificates.parquet").to_table().equals(kept.outcomes.to_table())
    for row in Certification.of(kept, 0.5, attacked=attacks).rows:
        assert CertificateResult.from_json(json.loads(json.dumps(row.to_json())), [], "x") == row
