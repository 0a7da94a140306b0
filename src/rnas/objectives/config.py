"""What objectives are told: the attack, the smoothing of labels, and the settings that only one of them reads."""

# Without the import of annotations from __future__: the parser of command lines would look up the names of what
# `rnas.training.config.TrainingConfig` inherits from here in that module, where they are not.

import math
from dataclasses import dataclass, field, fields

from rnas.config import MOST_STEPS, Distance, PgdConfig, require

__all__ = [
    "MODES",
    "OWN_SETTINGS",
    "UNATTACKED",
    "CrownIbpConfig",
    "DistillationConfig",
    "FastAtConfig",
    "GaussianConfig",
    "IbpConfig",
    "MartConfig",
    "ObjectiveConfig",
    "SmoothAdvConfig",
    "TradesConfig",
]

#: Of a network: batch norm takes running statistics in the first, those of the batch in the second.
MODES = ("evaluation", "training")

#: Objectives that make no examples in the L-infinity ball of `attack`, and need not be robust in it.
UNATTACKED = ("standard", "gaussian", "smooth_adv", "defensive_distillation")


@dataclass(frozen=True)
class TradesConfig:
    """Settings of the objective "trades".

    Args:
        beta: weight of the divergence between clean and adversarial predictions, >= 0; 1 / lambda of its paper.
    """

    beta: float = 6.0

    def __post_init__(self) -> None:
        """Check the ranges."""
        require(self.beta >= 0, "beta", "a number >= 0", self.beta)


@dataclass(frozen=True)
class MartConfig:
    """Settings of the objective "mart".

    Args:
        beta: weight of the divergence between clean and adversarial predictions, >= 0; lambda in its paper.
    """

    beta: float = 5.0

    def __post_init__(self) -> None:
        """Check the ranges."""
        require(self.beta >= 0, "beta", "a number >= 0", self.beta)


@dataclass(frozen=True)
class FastAtConfig:
    """Settings of the objective "fast_at".

    Args:
        step: length of its only step, in multiples of eps, in (0, 2].
        collapse: training stops where the accuracy under PGD is below this part of its best, while that under FGSM has
            risen; in [0, 1), 0 never stops.
        mode: of the network when that step is taken: "evaluation", or "training" as in the authors' code.
    """

    step: float = 1.25
    collapse: float = 0.1
    mode: str = "evaluation"

    def __post_init__(self) -> None:
        """Check the ranges."""
        require(0 < self.step <= 2, "step", "a number in (0, 2]", self.step)
        require(0 <= self.collapse < 1, "collapse", "a number in [0, 1)", self.collapse)
        require(self.mode in MODES, "mode", " or ".join(MODES), self.mode)


@dataclass(frozen=True)
class IbpConfig:
    """Settings of the objective "ibp".

    Args:
        warmup: part of all steps in which the loss is that of clean images alone, in [0, 1].
        ramp: part of all steps, after those, in which eps rises from 0 to the attack's and kappa falls from 1; above 0.
        kappa: weight of the loss on clean images in the end, in [0, 1]; the bounds have the rest.
    """

    warmup: float = 0.1
    ramp: float = 0.5
    kappa: float = 0.5

    def __post_init__(self) -> None:
        """Check the ranges."""
        require(0 <= self.warmup <= 1, "warmup", "a number in [0, 1]", self.warmup)
        require(0 < self.ramp <= 1, "ramp", "a number in (0, 1]", self.ramp)
        require(0 <= self.kappa <= 1, "kappa", "a number in [0, 1]", self.kappa)


@dataclass(frozen=True)
class CrownIbpConfig(IbpConfig):
    """Settings of the objective "crown_ibp".

    Args:
        beta: weight of the linear bounds in the end, in [0, 1], falling from 1 as eps rises; intervals have the rest.
    """

    beta: float = 0.0

    def __post_init__(self) -> None:
        """Check the ranges."""
        super().__post_init__()
        require(0 <= self.beta <= 1, "beta", "a number in [0, 1]", self.beta)


@dataclass(frozen=True)
class GaussianConfig:
    """Settings of the objective "gaussian".

    Args:
        sigma: deviation of the noise in every pixel, in units of images in [0, 1], > 0.
    """

    sigma: Distance = Distance("0.25")

    def __post_init__(self) -> None:
        """Check the ranges."""
        require(self.sigma > 0, "sigma", "a number > 0", self.sigma)


@dataclass(frozen=True)
class SmoothAdvConfig:
    """Settings of the objective "smooth_adv".

    Args:
        sigma: deviation of the noise in every pixel, in units of images in [0, 1], > 0.
        draws: noises for each image, >= 1; m_train in its paper.
        eps: radius of the L2 ball, in the same units.
        steps: of the attack, >= 1; each is 2 eps / steps long.
    """

    sigma: Distance = Distance("0.25")
    draws: int = 2
    eps: Distance = Distance("64/255")
    steps: int = 10

    def __post_init__(self) -> None:
        """Check the ranges."""
        require(self.sigma > 0, "sigma", "a number > 0", self.sigma)
        require(self.eps >= 0, "eps", "a finite distance >= 0", self.eps)
        require(self.draws >= 1, "draws", "an integer >= 1", self.draws, at_most=MOST_STEPS)
        require(self.steps >= 1, "steps", "an integer >= 1", self.steps, at_most=MOST_STEPS)


@dataclass(frozen=True)
class DistillationConfig:
    """Settings of the objective "defensive_distillation".

    Args:
        teacher: MODEL whose soft labels are learned, in any form that `rnas evaluate` takes; null learns the labels
            themselves, as the teacher has to.
        temperature: what logits are divided by in training, >= 1; the teacher's and the student's.
    """

    teacher: str | None = None
    temperature: float = 20.0

    def __post_init__(self) -> None:
        """Check the ranges."""
        require(1 <= self.temperature < math.inf, "temperature", "a number >= 1", self.temperature)


@dataclass(frozen=True)
class ObjectiveConfig:
    """What an objective is made with; each reads what it needs.

    Args:
        attack: the PGD that makes adversarial examples. Of it, fast_at, ibp and crown_ibp train with eps only.
        label_smoothing: part of a label's weight that is spread evenly over all classes, in [0, 1).
        trades: settings of TRADES.
        mart: settings of MART.
        fast_at: settings of fast adversarial training.
        ibp: settings of training on interval bounds.
        crown_ibp: settings of training on linear bounds.
        gaussian: settings of noise augmentation.
        smooth_adv: settings of adversarial training of a smoothed model.
        defensive_distillation: settings of defensive distillation.
    """

    attack: PgdConfig = field(default_factory=PgdConfig)
    label_smoothing: float = 0.0
    trades: TradesConfig = field(default_factory=TradesConfig)
    mart: MartConfig = field(default_factory=MartConfig)
    fast_at: FastAtConfig = field(default_factory=FastAtConfig)
    ibp: IbpConfig = field(default_factory=IbpConfig)
    crown_ibp: CrownIbpConfig = field(default_factory=CrownIbpConfig)
    gaussian: GaussianConfig = field(default_factory=GaussianConfig)
    smooth_adv: SmoothAdvConfig = field(default_factory=SmoothAdvConfig)
    defensive_distillation: DistillationConfig = field(default_factory=DistillationConfig)

    def __post_init__(self) -> None:
        """Check the ranges."""
        require(0 <= self.label_smoothing < 1, "label_smoothing", "a number in [0, 1)", self.label_smoothing)


#: The settings that only the objective of their name reads.
OWN_SETTINGS = tuple(field.name for field in fields(ObjectiveConfig) if field.name not in ("attack", "label_smoothing"))
