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
        attacks: names of the attacks, in the order in which they run: fgsm, pgd20, cw, cw_search, square, square_l2,
            apgd, apgd_l2, autoattack, autoattack_plus, autoattack_rand, the same three with _l2, transfer, corruptions.
        eps: radius of the L-infinity ball, in units of images in [0, 1]; for every attack in that norm.
        eps_l2: radius of the L2 ball of the attacks that end in _l2, in the same units.
        step_size: length of a step of PGD-20, in the same units.
        cw_steps: steps of cw_search for each of its 9 values of c.
        square_queries: queries that Square spends on an image that withstands.
        apgd_steps: steps of each of the up to 10 runs of APGD.
        transfer_from: run directory of the second model that the attack transfer is made on.
        images: test images to attack, a stratified subset; null takes all.
        autoattack_images: of those, how many AutoAttack gets, again stratified; null takes all.
        batch_size: images attacked at once.
    """

    attacks: list[str] = field(default_factory=lambda: ["fgsm", "pgd20", "cw", "autoattack"])
    eps: Distance = Distance("8/255")
    eps_l2: Distance = Distance("0.5")
    step_size: Distance = Distance("2/255")
    cw_steps: int = 300
    square_queries: int = 5000
    apgd_steps: int = 100
    transfer_from: str | None = None
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
        require(0 <= self.eps_l2 < float("inf"), "eps_l2", "a finite distance >= 0", self.eps_l2)
        require(0 < self.step_size < float("inf"), "step_size", "a finite distance > 0", self.step_size)
        require(self.images is None or self.images >= 1, "images", "null or at least 1", self.images)
        require(
            self.autoattack_images is None or self.autoattack_images >= 1,
            "autoattack_images",
            "null or at least 1",
            self.autoattack_images,
        )
        for name in ("cw_steps", "square_queries", "apgd_steps", "batch_size"):
            require(getattr(self, name) >= 1, name, "at least 1", getattr(self, name))
        second = self.transfer_from is not None or not any(ATTACKS[name].transfers for name in self.attacks)
        require(second, "transfer_from", "a second model's run directory, which transfer needs", self.transfer_from)
