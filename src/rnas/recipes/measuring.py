"""How `rnas vulnerability` attacks the images that it measures with."""

from __future__ import annotations

from dataclasses import dataclass

from rnas.config import Distance, PgdConfig, default_step

__all__ = ["MeasuringAttack"]


@dataclass(frozen=True)
class MeasuringAttack:
    """PGD in the Linf ball by which feature maps are moved.

    Args:
        eps: radius of the ball, in units of images in [0, 1]; null takes that of the networks' training, 8/255 where
            none is recorded.
        step_size: length of a step, in the same units; null takes a quarter of eps.
        steps: number of steps, at least 1.
    """

    eps: Distance | None = None
    step_size: Distance | None = None
    steps: int = 20

    def __post_init__(self) -> None:
        """Check the ranges."""
        self.at(Distance("8/255"))

    def at(self, eps: Distance) -> PgdConfig:
        """The attack with nothing left open.

        Args:
            eps: where none was asked for.
        """
        eps = eps if self.eps is None else self.eps
        return PgdConfig(eps, default_step(eps) if self.step_size is None else self.step_size, self.steps)
