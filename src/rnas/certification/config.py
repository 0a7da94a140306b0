"""Settings of certificates."""

from __future__ import annotations

from dataclasses import dataclass, field, fields

from rnas.certification.card import CERTIFIERS
from rnas.config import MOST_STEPS, Distance, require
from rnas.errors import ConfigError
from rnas.evaluation.config import PAPER_EPS

__all__ = ["CertificationConfig", "CertificationSettings"]


@dataclass(frozen=True)
class CertificationSettings:
    """How robustness is proved, and of how many images.

    Args:
        methods: names of the methods: interval, crown_ibp and crown for any model, smoothing for a smoothed one; empty
            takes interval and crown_ibp, or smoothing.
        eps: radius of the L-infinity ball, in units of images in [0, 1], at which accuracies are certified; null takes
            that of the network's training, 8/255 where none is recorded.
        eps_l2: radius of the L2 ball, in the same units, for smoothing.
        halvings: how often the interval is halved in which an image's own radius is searched, from 0 to 2 eps. 0 asks
            at eps alone; each halving takes as long as that.
        n0: noisy copies of an image by which smoothing chooses its class.
        n: noisy copies by which it bounds that class's probability; the paper has 100,000.
        alpha: probability with which smoothing may certify an image wrongly.
        images: test images, a stratified subset; null takes all.
        batch_size: images, or noisy copies, that pass the network at once.
    """

    methods: list[str] = field(default_factory=list)
    eps: Distance | None = None
    eps_l2: Distance = Distance("0.5")
    halvings: int = 6
    n0: int = 100
    n: int = 1000
    alpha: float = 0.001
    images: int | None = None
    batch_size: int = 128

    def __post_init__(self) -> None:
        """Check the ranges, and the names of the methods."""
        for name in self.methods:
            try:
                CERTIFIERS[name]
            except ConfigError as error:
                raise type(error)(f"methods: {error}") from error
        require(len(set(self.methods)) == len(self.methods), "methods", "each method once", self.methods)
        expected = "a distance above 0, at most 1, in units of images in [0, 1], such as 8/255"
        require(self.eps is None or 0 < self.eps <= 1, "eps", expected, self.eps)
        require(self.eps_l2 > 0, "eps_l2", "a finite distance > 0", self.eps_l2)
        require(0 <= self.halvings <= 30, "halvings", "an integer from 0 to 30", self.halvings)
        for name in ("n0", "n"):
            require(getattr(self, name) >= 1, name, "at least 1", getattr(self, name), at_most=100 * MOST_STEPS)
        require(0 < self.alpha < 1, "alpha", "a probability in (0, 1)", self.alpha)
        require(self.images is None or self.images >= 1, "images", "null or at least 1", self.images)
        require(self.batch_size >= 1, "batch_size", "at least 1", self.batch_size)

    def at(self, eps: Distance) -> CertificationConfig:
        """The settings of one network.

        Args:
            eps: where none was asked for.
        """
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return CertificationConfig(**{**values, "eps": eps if self.eps is None else self.eps})


@dataclass(frozen=True)
class CertificationConfig(CertificationSettings):
    """The same for one network, with its eps."""

    eps: Distance = PAPER_EPS
