"""Settings of an evaluation; the defaults are the paper's."""

from __future__ import annotations

from dataclasses import dataclass, field, fields

from rnas.config import MOST_STEPS, Distance, default_step, require
from rnas.errors import ConfigError
from rnas.evaluation.suite import ATTACKS

__all__ = ["PAPER_EPS", "EvaluationConfig", "EvaluationSettings"]

PAPER_EPS = Distance("8/255")


@dataclass(frozen=True)
class EvaluationSettings:
    """Which attacks, how strong, on how many images, as a user asks for them.

    Args:
        attacks: names of the attacks, in the order in which they run: fgsm, pgd20, cw, cw_search, deepfool, square,
            square_l2, apgd, apgd_l2, autoattack, autoattack_plus, autoattack_rand, the same three with _l2, transfer,
            corruptions; and PGD with other steps, restarts or the margin loss, such as pgd100, pgd50x10 or
            pgd100x10_margin.
        eps: radius of the L-infinity ball, in units of images in [0, 1], for every attack in that norm; null takes the
            eps of the network's training, or 8/255 where none is recorded.
        eps_l2: radius of the L2 ball of the attacks that end in _l2, in the same units.
        step_size: length of a step of PGD, also of that of transfer, in the same units; null takes a quarter of eps.
        cw_c: weight of the margin against the squared distance in cw, >= 0.
        cw_steps: steps of cw.
        cw_search_steps: steps of cw_search for each of its 9 values of c, which it searches for each image.
        cw_learning_rate: learning rate of cw and cw_search.
        square_queries: queries that Square spends on an image that withstands.
        query_precision: float32, or bfloat16 to compute Square's queries under autocast, also those in AutoAttack. Each
            success is confirmed in float32, and images where that fails are attacked again in float32. The search is
            coarser: it may miss an image that float32 breaks.
        apgd_steps: steps of each of the up to 10 runs of APGD.
        transfer_from: the MODEL on which transfer makes its images, in any form that `rnas evaluate` takes.
        images: test images to attack, a stratified subset; null takes all.
        autoattack_images: how many of those AutoAttack attacks, again stratified; null takes all.
        batch_size: images attacked at once.
    """

    attacks: list[str] = field(default_factory=lambda: ["fgsm", "pgd20", "cw", "autoattack"])
    eps: Distance | None = None
    eps_l2: Distance = Distance("0.5")
    step_size: Distance | None = None
    cw_c: float = 0.5
    cw_steps: int = 100
    cw_search_steps: int = 300
    cw_learning_rate: float = 0.01
    square_queries: int = 5000
    query_precision: str = "float32"
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
            except ConfigError as error:
                raise type(error)(f"attacks: {error}") from error
        require(len(set(self.attacks)) == len(self.attacks), "attacks", "each attack once", self.attacks)
        expected = "a distance from 0 to 1, in units of images in [0, 1], such as 8/255"
        require(self.eps is None or 0 <= self.eps <= 1, "eps", expected, self.eps)
        require(self.eps_l2 >= 0, "eps_l2", "a finite distance >= 0", self.eps_l2)
        require(self.step_size is None or self.step_size > 0, "step_size", "a finite distance > 0", self.step_size)
        require(self.images is None or self.images >= 1, "images", "null or at least 1", self.images)
        require(
            self.autoattack_images is None or self.autoattack_images >= 1,
            "autoattack_images",
            "null or at least 1",
            self.autoattack_images,
        )
        require(self.cw_c >= 0, "cw_c", "a number >= 0", self.cw_c)
        require(self.cw_learning_rate > 0, "cw_learning_rate", "a number > 0", self.cw_learning_rate)
        for name in ("cw_steps", "cw_search_steps", "apgd_steps"):
            require(getattr(self, name) >= 1, name, "at least 1", getattr(self, name), at_most=MOST_STEPS)
        for name in ("square_queries", "batch_size"):
            require(getattr(self, name) >= 1, name, "at least 1", getattr(self, name))
        precisions = ("float32", "bfloat16")
        require(self.query_precision in precisions, "query_precision", " or ".join(precisions), self.query_precision)
        second = self.transfer_from is not None or not any(ATTACKS[name].transfers for name in self.attacks)
        require(second, "transfer_from", "a second model, which transfer needs", self.transfer_from)

    def at(self, eps: Distance) -> EvaluationConfig:
        """The settings of one network.

        Args:
            eps: where none was asked for.
        """
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return EvaluationConfig(**{**values, "eps": eps if self.eps is None else self.eps})


@dataclass(frozen=True)
class EvaluationConfig(EvaluationSettings):
    """Settings of the evaluation of one network: those of `EvaluationSettings` with its eps.

    Args:
        save_images: adversarial images of each attack to keep in the folder, as `rnas.evaluation.examples` says.
    """

    eps: Distance = PAPER_EPS
    save_images: int = 0

    def __post_init__(self) -> None:
        """Check the ranges."""
        super().__post_init__()
        require(self.save_images >= 0, "save_images", "at least 0", self.save_images)

    @property
    def pgd_step(self) -> float:
        """Length of a step of PGD, from the settings; `default_step` where they leave it open."""
        return float(default_step(self.eps) if self.step_size is None else self.step_size)

    def images_for(self, attack: str, total: int) -> int:
        """How many of the test images an attack gets, or "clean"."""
        budgeted = attack != "clean" and ATTACKS[attack.partition("/")[0]].budgeted
        limits = [total, self.images, self.autoattack_images if budgeted else None]
        return min(limit for limit in limits if limit is not None)
