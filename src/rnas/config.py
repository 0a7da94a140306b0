"""What the typed configurations share: checks, and distances between images written as in the papers ("8/255").

A configuration is a frozen dataclass beside the thing it configures; it imports no torch, so that `rnas --help` and the
parsing of a command line stay fast.
"""

from __future__ import annotations

import math
from fractions import Fraction

from rnas.errors import ConfigError

__all__ = ["Distance", "require"]


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
