"""Settings of an evaluation; the defaults are the paper's."""

from __future__ import annotations

from dataclasses import dataclass, field

from rnas.config import Distance, require
from rnas.errors import UnknownNameError
from rnas.evaluation.suite import ATTACKS

__all__ = ["EvaluationConfig"]


@dataclass(frozen=True)
class EvaluationConfig:
    """Which attacks, how strong, on how many images.

    Args:
        attacks: names of the attacks, in the order in which they run: fgsm, pgd20, cw, autoattack.
        eps: radius of the L-infinity ball for FGSM, PGD and AutoAttack, in units of images in [0, 1].
        step_size: length of a PGD step, in the same units.
        images: test images to attack, a stratified subset; null takes all.
        autoattack_images: of those, how many AutoAttack gets, again stratified; null takes all.
        batch_size: images attacked at once.
    """

    attacks: list[str] = field(default_factory=lambda: ["fgsm", "pgd20", "cw", "autoattack"])
    eps: Distance = Distance("8/255")
    step_size: Distance = Distance("2/255")
    images: int | None = None
    autoattack_images: int | None = None
    batch_size: int = 128

    def __post_init__(self) -> None:
        """Check the ranges, and the names of the attacks."""
        for name in self.attacks:
            try:
                ATTACKS[name]
            except UnknownNameError as error:
                raise UnknownNameError(f"attacks: {error}") from error
        require(len(set(self.attacks)) == len(self.attacks), "attacks", "each attack once", self.attacks)
        require(0 <= self.eps < float("inf"), "eps", "a finite distance >= 0", self.eps)
        require(0 < self.step_size < float("inf"), "step_size", "a finite distance > 0", self.step_size)
        require(self.images is None or self.images >= 1, "images", "null or at least 1", self.images)
        require(
            self.autoattack_images is None or self.autoattack_images >= 1,
            "autoattack_images",
            "null or at least 1",
            self.autoattack_images,
        )
        require(self.batch_size >= 1, "batch_size", "at least 1", self.batch_size)
