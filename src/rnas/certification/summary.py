"""From certificates to certified accuracy, and between what the robust accuracy lies where there are attacks too.

    certified accuracy  <=  robust accuracy  <=  accuracy under attack

An image whose whole ball is proved is robust; one that an attack changes within the ball is not. Of the others nobody
knows.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rnas.attacks.guards import TOLERANCE
from rnas.certification.card import CERTIFIERS
from rnas.certification.certificates import Certificates
from rnas.evaluation.outcomes import Outcomes
from rnas.evaluation.records import Record
from rnas.evaluation.suite import ATTACKS
from rnas.evaluation.summary import CLEAN, wilson
from rnas.run.certificate_results import Bracket, CertificateResult, Curve

__all__ = ["Certification", "certificates_in"]

ANY = "any"
"""Name of the row in which each image has the best of its certificates in a norm."""

POINTS = 50
"""Radii of a curve, beside 0 and eps."""


@dataclass(frozen=True)
class Certification:
    """The result of `certify`.

    Args:
        certificates: one row an image and method.
        rows: one a method, and one for all of them together where there are several in a norm.
    """

    certificates: Certificates
    rows: tuple[CertificateResult, ...]

    def __getitem__(self, name: str) -> CertificateResult:
        """The row of a method, or of "any"."""
        return {row.name: row for row in self.rows}[name]

    @classmethod
    def of(
        cls, record: Record[Certificates], eps_l2: float, *, attacked: Record[Outcomes] | None = None
    ) -> Certification:
        """All that a record holds of finished methods, whichever call ran them.

        Args:
            record: the certificates.
            eps_l2: radius at which accuracies in L2 are told.
            attacked: outcomes of attacks on the same model and images, if there are some.
        """
        rows: list[CertificateResult] = []
        best: dict[str, list[Certificates]] = {}
        for name, settings in record.settings.items():
            found, card = record.outcomes.of(name), CERTIFIERS[name]
            if len(found) < int(settings["images"]):
                continue
            eps = float(settings["eps"] if card.norm == "Linf" else eps_l2)
            row = _row(name, found, card.norm, eps, attacked)
            rows.append(
                replace(
                    row,
                    title=card.title,
                    source=card.source,
                    settings=settings,
                    seconds=record.seconds[name],
                    certain=card.certain,
                )
            )
            best.setdefault(card.norm, []).append(found)
        for norm, several in best.items():
            alike = {row.eps for row in rows if row.norm == norm}
            if len(several) > 1 and len(alike) == 1 and len({tuple(found.image) for found in several}) == 1:
                radius = np.max([found.radius for found in several], axis=0)
                names = [row.name for row in rows if row.norm == norm]
                row = _row(ANY, replace(several[0], radius=radius), norm, alike.pop(), attacked)
                rows.append(replace(row, title="Any of these", settings={"methods": names}))
        return cls(record.outcomes, tuple(rows))

    def table(self) -> list[tuple[str, ...]]:
        """The rows as text: title, ball, certified of images, accuracy, 95% interval."""
        return [
            (
                row.title,
                f"{row.norm} {row.eps:.4g}",
                f"{row.certified}/{row.images}",
                f"{row.accuracy:.1%}",
                f"{row.low:.1%} to {row.high:.1%}",
            )
            for row in self.rows
        ]


def certificates_in(folder: Path, eps_l2: float) -> tuple[CertificateResult, ...]:
    """What the files in a folder prove of a model, and what its attacks leave; nothing where there is no certificate.

    Args:
        folder: with `certificates.parquet`, and with `outcomes.parquet` where the model was attacked.
        eps_l2: radius at which accuracies in L2 are told.

    Raises:
        RunError: if one of the files is damaged.
    """
    if not (folder / Certificates.FILE_NAME).exists():
        return ()
    record = Record(folder, {}, Certificates)
    attacked, outcomes = None, folder / Outcomes.FILE_NAME
    if outcomes.exists():
        attacked = Record(folder, {}, Outcomes)
        if any(attacked.identity.get(key) != record.identity.get(key) for key in ("model", "images")):
            attacked = None
    return Certification.of(record, eps_l2, attacked=attacked).rows


def _row(name: str, found: Certificates, norm: str, eps: float, attacked: Record[Outcomes] | None) -> CertificateResult:
    certified = found.certified(eps)
    accuracy = float(certified.mean())
    low, high = wilson(accuracy, len(found))
    # Not beyond the largest radius that was looked for: there is no certificate there, for nobody asked.
    radii = np.union1d(np.linspace(0, max(eps, float(found.radius.max())), POINTS + 1), [eps])
    return CertificateResult(
        name=name,
        title=name,
        norm=norm,
        eps=eps,
        images=len(found),
        clean=float(found.certified(0).mean()),
        accuracy=accuracy,
        low=low,
        high=high,
        curve=tuple((float(radius), float(found.certified(radius).mean())) for radius in radii),
        bracket=None if attacked is None else _bracket(found, norm, eps, attacked, radii),
    )


def _bracket(
    found: Certificates, norm: str, eps: float, attacked: Record[Outcomes], radii: NDArray[np.float64]
) -> Bracket | None:
    nearest, attacks = _nearest(attacked.outcomes, norm, found.image)
    tried = ~np.isnan(nearest)
    if not tried.any():
        return None
    found, nearest = found.rows(np.flatnonzero(tried)), nearest[tried]
    left: Curve = tuple((float(radius), float((nearest > radius + TOLERANCE).mean())) for radius in radii)
    return Bracket(
        images=len(found),
        certified=float(found.certified(eps).mean()),
        attacked=float((nearest > eps + TOLERANCE).mean()),
        attacks=attacks,
        broken=int((found.certified(0) & (nearest + TOLERANCE < found.radius)).sum()),
        curve=left,
    )


def _nearest(outcomes: Outcomes, norm: str, images: NDArray[np.int64]) -> tuple[NDArray[np.float64], tuple[str, ...]]:
    """Distance of the nearest image that broke each image; infinity where none did, NaN where none was tried."""
    nearest = np.full(len(images), np.nan)
    attacks = []
    for name in dict.fromkeys(part.partition("/")[0] for part in outcomes.attack.tolist() if part != CLEAN):
        if any(card.every_image for card in ATTACKS[name].members(name).values()):
            continue  # what is the same thing in fog is in no ball
        own = outcomes.of(name).on(images)
        distance = np.where(own.broken, own.linf if norm == "Linf" else own.l2, np.inf)
        where = np.searchsorted(images, own.image)
        nearest[where] = np.fmin(nearest[where], distance)
        attacks += [name] * bool(len(own))
    return nearest, tuple(attacks)
