"""How a fixed network is trained; the defaults are the paper's (Section 5.1)."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise

from rnas.config import WeightConfig, require
from rnas.objectives.config import ObjectiveConfig

__all__ = ["PRECISIONS", "CellTrainingConfig", "ScheduleConfig", "TrainingConfig", "ValidationConfig"]

#: Number formats of the passes through the network; weights, losses and images stay float32.
PRECISIONS = ("float32", "bfloat16")
#: Objectives that bound the network: without rounding, drop-path and a second classifier.
BOUNDING = ("ibp", "crown_ibp")


@dataclass(frozen=True)
class ScheduleConfig:
    """The learning rate over the steps of a training.

    Args:
        name: "cosine": a half cosine from the rate to zero; "one_cycle": linear up to the rate, then down to zero;
            "piecewise": divided at milestones.
        warmup: one_cycle: the part of all steps in which the rate rises, in (0, 1).
        milestones: piecewise: parts of all steps after which the rate is divided, increasing, in (0, 1).
        divisor: piecewise: what the rate is divided by, > 1.
    """

    name: str = "cosine"
    warmup: float = 0.3
    milestones: list[float] = field(default_factory=lambda: [0.5, 0.75])
    divisor: float = 10.0

    def __post_init__(self) -> None:
        """Check the ranges."""
        require(0 < self.warmup < 1, "warmup", "a number in (0, 1)", self.warmup)
        places = [0, *self.milestones, 1]
        increasing = all(before < after for before, after in pairwise(places))
        require(increasing, "milestones", "increasing numbers in (0, 1)", self.milestones)
        require(self.divisor > 1, "divisor", "a number > 1", self.divisor)


@dataclass(frozen=True)
class ValidationConfig:
    """Keep the weights of the epoch with the highest accuracy under PGD on images held out of the training set.

    Args:
        images: how many to hold out, stratified over the classes; with 0 the last weights are kept.
        patience: stop after so many epochs without a higher accuracy, at least 1; null trains to the end.
    """

    images: int = 0
    patience: int | None = None

    def __post_init__(self) -> None:
        """Check the ranges, and that there is something to stop by."""
        require(self.images >= 0, "images", "an integer >= 0", self.images)
        require(self.patience is None or self.patience >= 1, "patience", "an integer >= 1 or null", self.patience)
        require(self.patience is None or self.images > 0, "patience", "null where images is 0", self.patience)


@dataclass(frozen=True)
class CellTrainingConfig:
    """Settings of trainings of networks that are made of cells; DARTS uses 0.4 and 0.2.

    Args:
        auxiliary_weight: weight of the loss of a second classifier at two thirds of the depth, >= 0; 0 for none.
        drop_path: probability that an image's signal on an edge is dropped, in [0, 1); it rises linearly to this at the
            end.
    """

    auxiliary_weight: float = 0.0
    drop_path: float = 0.0

    def __post_init__(self) -> None:
        """Check the ranges."""
        require(self.auxiliary_weight >= 0, "auxiliary_weight", "a number >= 0", self.auxiliary_weight)
        require(0 <= self.drop_path < 1, "drop_path", "a number in [0, 1)", self.drop_path)


@dataclass(frozen=True)
class TrainingConfig(WeightConfig, ObjectiveConfig):
    """Settings of a training; those of its optimiser are in `WeightConfig`, those of its loss in `ObjectiveConfig`.

    Args:
        objective: the loss: "pgd_at" (adversarial training), "trades", "mart", "fast_at" or "standard"; "ibp" or
            "crown_ibp" for networks that can be proved robust; "gaussian" or "smooth_adv" for smoothed models; or
            "defensive_distillation".
        epochs: passes over the training images, at least 1.
        schedule: the learning rate over the steps.
        average_decay: decay of an exponential moving average of the weights, in [0, 1); null for none. The average is
            validated and kept in their place. It looks back about 1 / (1 - average_decay) steps, but at most over the
            last ninth of the steps so far.
        cutout: side in pixels of a black square at a random place of each training image, at most the images' side; 0
            for none.
        cells: settings for networks that are made of cells.
        validation: which epoch's weights are kept, and when to stop.
        precision: float32, or bfloat16 for passes under autocast.
    """

    objective: str = "pgd_at"
    epochs: int = 300
    schedule: ScheduleConfig = field(default_factory=ScheduleConfig)
    average_decay: float | None = None
    cutout: int = 0
    cells: CellTrainingConfig = field(default_factory=CellTrainingConfig)
    validation: ValidationConfig = field(default_factory=ValidationConfig)
    precision: str = "float32"

    def __post_init__(self) -> None:
        """Check the ranges."""
        WeightConfig.__post_init__(self)
        ObjectiveConfig.__post_init__(self)
        if self.objective == "fast_at" and self.cells.auxiliary_weight:
            # The second classifier would be trained on the pass of the attack, whose graph is gone by then.
            expected = "evaluation where cells.auxiliary_weight is above 0"
            require(self.fast_at.mode == "evaluation", "fast_at.mode", expected, self.fast_at.mode)
        if self.objective in BOUNDING:
            why = f"where the objective is {self.objective}"
            require(self.precision == "float32", "precision", f"float32 {why}", self.precision)
            require(self.cells == CellTrainingConfig(), "cells", f"its defaults {why}", self.cells)
        require(self.epochs >= 1, "epochs", "an integer >= 1", self.epochs)
        decay = self.average_decay
        require(decay is None or 0 <= decay < 1, "average_decay", "a number in [0, 1) or null", decay)
        require(self.cutout >= 0, "cutout", "an integer >= 0", self.cutout)
        require(self.precision in PRECISIONS, "precision", " or ".join(PRECISIONS), self.precision)
