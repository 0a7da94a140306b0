"""The text of a smoothed model: `smoothed:SIGMA:MODEL`, or `smoothed:SIGMAxDRAWS:MODEL`."""

from __future__ import annotations

import re
from dataclasses import dataclass

from rnas.config import MOST_STEPS, Distance, require
from rnas.errors import ConfigError

__all__ = ["SmoothedText", "base_text", "read_smoothed"]

START = "smoothed:"
FORM = f"{START}SIGMA:MODEL or {START}SIGMAxDRAWS:MODEL, such as {START}0.25:runs/found"
DRAWS = 16


@dataclass(frozen=True)
class SmoothedText:
    """What the text says.

    Args:
        sigma: deviation of the noise in every pixel, in units of images in [0, 1].
        draws: noises that are averaged over.
        base: the text of the model that is smoothed.
    """

    sigma: Distance
    draws: int
    base: str

    @property
    def name(self) -> str:
        """Short, for tables and folders, without the base's."""
        return f"smoothed-{float(self.sigma):g}" + (f"x{self.draws}" if self.draws != DRAWS else "")


def read_smoothed(text: str) -> SmoothedText | None:
    """Read the text of a model; None if it is no smoothed one's.

    Raises:
        ConfigError: if it begins as one and does not go on so, or a number is out of range.
    """
    if not text.startswith(START):
        return None
    parts = re.fullmatch(r"smoothed:([^:x]+)(?:x(\d{1,9}))?:(.+)", text, re.ASCII | re.DOTALL)
    if parts is None or parts[3].startswith(START):
        raise ConfigError(f"expected {FORM}, got {text!r}")
    try:
        sigma, draws = Distance(parts[1]), int(parts[2] or DRAWS)
        require(sigma > 0, "SIGMA", "a number > 0, the deviation of the noise", sigma)
        require(draws >= 1, "DRAWS", "an integer >= 1", draws, at_most=MOST_STEPS)
    except ConfigError as error:
        raise ConfigError(f"{text}: {error}; {FORM}") from error
    return SmoothedText(sigma, draws, parts[3])


def base_text(text: str) -> str:
    """The text of the model inside, where there is one; else the text itself."""
    parts = text.split(":", 2)
    return parts[2] if text.startswith(START) and len(parts) == 3 else text
