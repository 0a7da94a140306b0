"""How a fixed network is trained; the defaults are the paper's (Section 5.1)."""

from __future__ import annotations

from dataclasses import dataclass, field

from rnas.config import PgdConfig, require

__all__ = ["TrainingConfig"]


@dataclass(frozen=True)
class TrainingConfig:
    """Settings of a training: SGD with momentum under a cosine schedule that ends at zero.

    Args:
        objective: the loss: "pgd_at" (adversarial training) or "standard".
        attack: the PGD that makes adversarial examples.
        epochs: passes over the training images, at least 1.
        batch_size: images a step, at least 2.
        learning_rate: at the start, > 0.
        momentum: in [0, 1).
        weight_decay: L2 penalty, >= 0.
        gradient_clip: largest norm of the gradient of all weights, > 0.
    """

    objective: str = "pgd_at"
    attack: PgdConfig = field(default_factory=PgdConfig)
    epochs: int = 300
    batch_size: int = 128
    learning_rate: float = 0.01
    momentum: float = 0.9
    weight_decay: float = 3e-4
    gradient_clip: float = 5.0

    def __post_init__(self) -> None:
        """Check the ranges."""
        require(self.epochs >= 1, "epochs", "an integer >= 1", self.epochs)
        require(self.batch_size >= 2, "batch_size", "an integer >= 2", self.batch_size)
        require(self.learning_rate > 0, "learning_rate", "a number > 0", self.learning_rate)
        require(0 <= self.momentum < 1, "momentum", "a number in [0, 1)", self.momentum)
        require(self.weight_decay >= 0, "weight_decay", "a number >= 0", self.weight_decay)
        require(self.gradient_clip > 0, "gradient_clip", "a number > 0", self.gradient_clip)
