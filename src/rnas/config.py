"""What the typed configurations share: checks, distances written as in the papers ("8/255"), PGD, SGD.

A configuration is a frozen dataclass beside the thing it configures; it imports no torch, so that `rnas --help` and the
parsing of a command line stay fast.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, is_dataclass
from fractions import Fraction
from typing import Any

from rnas.errors import ConfigError

__all__ = ["Distance", "PgdConfig", "WeightConfig", "plain", "require"]


class Distance(float):
    """A distance between images whose values lie in [0, 1], as a number or as a fraction such as ``"8/255"``.

    It prints as it was written, so that a saved configuration reads as the paper does.

    Raises:
        ConfigError: if the text is neither, or the distance is negative or not finite.
    """

    text: str

    def __new__(cls, value: float | str) -> Distance:
        """Read a number or a fraction."""
        try:
            number = float(Fraction(value)) if isinstance(value, str) else float(value)
        except (ValueError, ZeroDivisionError, OverflowError):
            raise ConfigError(f"expected a number or a fraction such as 8/255, got {value!r}") from None
        if not math.isfinite(number) or number < 0:
            raise ConfigError(f"expected a finite distance >= 0 such as 8/255, got {value!r}")
        distance = super().__new__(cls, number)
        distance.text = value.text if isinstance(value, Distance) else str(value)
        return distance

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return self.text

    def __reduce__(self) -> tuple[type[Distance], tuple[str]]:
        return Distance, (self.text,)


def require(condition: bool, key: str, expected: str, value: object) -> None:
    """Check one setting.

    Args:
        condition: whether the value is allowed.
        key: name of the setting, as in the configuration file.
        expected: what is allowed, in words.
        value: what came.

    Raises:
        ConfigError: if the condition does not hold.
    """
    if not condition:
        raise ConfigError(f"{key}: expected {expected}, got {value!r}")


def plain(config: Any) -> Any:
    """A configuration as nested dictionaries, lists and scalars, as YAML and JSON write it; distances stay text."""
    if is_dataclass(config):
        return {field.name: plain(getattr(config, field.name)) for field in fields(config)}
    if isinstance(config, dict):
        return {key: plain(value) for key, value in config.items()}
    if isinstance(config, (list, tuple)):
        return [plain(value) for value in config]
    return str(config) if isinstance(config, Distance) else config


@dataclass(frozen=True)
class PgdConfig:
    """PGD in the Linf ball, as training and search use it; the paper's settings (Section 5.1) are the defaults.

    Args:
        eps: radius of the ball, in units of images in [0, 1]; a number or a fraction such as 8/255.
        step_size: length of a step, in the same units, > 0.
        steps: number of steps, at least 1.
    """

    eps: Distance = Distance("8/255")
    step_size: Distance = Distance("2/255")
    steps: int = 7

    def __post_init__(self) -> None:
        """Check the ranges."""
        require(0 <= self.eps <= 1, "eps", "a distance in [0, 1]", self.eps)
        require(0 < self.step_size <= 1, "step_size", "a distance in (0, 1]", self.step_size)
        require(self.steps >= 1, "steps", "an integer >= 1", self.steps)


@dataclass(frozen=True)
class WeightConfig:
    """The optimiser of network weights: SGD with momentum under a cosine schedule that ends at zero.

    Args:
        batch_size: images a step, at least 2; all of them where there are fewer. An epoch is of whole batches only.
        learning_rate: of the weights at the start, > 0.
        momentum: in [0, 1).
        weight_decay: L2 penalty on the weights, >= 0.
        gradient_clip: largest norm of the gradient of all weights, > 0.
    """

    batch_size: int = 128
    learning_rate: float = 0.01
    momentum: float = 0.9
    weight_decay: float = 3e-4
    gradient_clip: float = 5.0

    def __post_init__(self) -> None:
        """Check the ranges."""
        require(self.batch_size >= 2, "batch_size", "an integer >= 2", self.batch_size)
        require(self.learning_rate > 0, "learning_rate", "a number > 0", self.learning_rate)
        require(0 <= self.momentum < 1, "momentum", "a number in [0, 1)", self.momentum)
        require(self.weight_decay >= 0, "weight_decay", "a number >= 0", self.weight_decay)
        require(self.gradient_clip > 0, "gradient_clip", "a number > 0", self.gradient_clip)
