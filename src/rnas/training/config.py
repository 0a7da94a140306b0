"""How a fixed network is trained; the defaults are the paper's (Section 5.1)."""

from __future__ import annotations

from dataclasses import dataclass, field

from rnas.config import PgdConfig, WeightConfig, require

__all__ = ["TrainingConfig"]


@dataclass(frozen=True)
class TrainingConfig(WeightConfig):
    """Settings of a training; those of its optimiser are in `WeightConfig`.

    Args:
        objective: the loss: "pgd_at" (adversarial training) or "standard".
        attack: the PGD that makes adversarial examples.
        epochs: passes over the training images, at least 1.
    """

    objective: str = "pgd_at"
    attack: PgdConfig = field(default_factory=PgdConfig)
    epochs: int = 300

    def __post_init__(self) -> None:
        """Check the ranges."""
        super().__post_init__()
        require(self.epochs >= 1, "epochs", "an integer >= 1", self.epochs)
