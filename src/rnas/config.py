"""Shared by the typed configurations: checks, distances written as in the papers ("8/255"), PGD, SGD.

A configuration is a frozen dataclass beside the thing it configures; it imports no torch, so that `rnas --help` and the
parsing of a command line stay fast.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, fields, is_dataclass
from fractions import Fraction
from typing import Any

from rnas.errors import ConfigError
from rnas.terminal import shorten

__all__ = [
    "MOST_CELLS",
    "MOST_CHARACTERS",
    "MOST_CHANNELS",
    "MOST_NUMBER",
    "MOST_PIXELS",
    "MOST_RATE",
    "MOST_REPETITIONS",
    "MOST_SEED",
    "MOST_STEPS",
    "MOST_THREADS",
    "ComputeConfig",
    "Distance",
    "PgdConfig",
    "WeightConfig",
    "check_text",
    "default_step",
    "plain",
    "quoted",
    "require",
]

#: No setting is larger, unless its own check says otherwise: integers fit in 32 bits, and what float32 computes from
#: the square of a number is still finite.
MOST_INTEGER = 2**31 - 1
MOST_NUMBER = 1e6
#: A learning rate may be as large as float32 can hold the steps of: that a training diverges, it finds out itself.
MOST_RATE = 1e30
#: Steps of an attack, whose losses are all kept.
MOST_STEPS = 100_000
#: Of a network: no machine holds a larger one.
MOST_CHANNELS = 10_000
MOST_CELLS = 1_000
#: Sides and borders of images.
MOST_PIXELS = 10_000
#: Searches or candidates one after another.
MOST_REPETITIONS = 10_000
#: What fits in 64 bits with a sign.
MOST_SEED = 2**63 - 1
#: Of a name or a path: folders within folders without end exhaust Python's stack.
MOST_CHARACTERS = 1000
#: More threads than any machine has processors end in a crash inside OpenMP.
MOST_THREADS = 1024


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
            # A fraction as such only with its stroke: of 1e999999999 it would write out all digits.
            number = float(Fraction(value) if isinstance(value, str) and "/" in value else value)
        except (ValueError, ZeroDivisionError, OverflowError):
            raise ConfigError(f"expected a number or a fraction such as 8/255, got {quoted(value)}") from None
        if not math.isfinite(number) or number < 0:
            raise ConfigError(f"expected a finite distance >= 0 such as 8/255, got {quoted(value)}")
        distance = super().__new__(cls, number)
        distance.text = value.text if isinstance(value, Distance) else str(value)
        return distance

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return self.text

    def __reduce__(self) -> tuple[type[Distance], tuple[str]]:
        return Distance, (self.text,)


def require(condition: bool, key: str, expected: str, value: object, *, at_most: float | None = None) -> None:
    """Check one setting. A number is bounded above even where nothing else bounds it.

    Args:
        condition: whether the value is allowed.
        key: name of the setting, as in the configuration file.
        expected: what is allowed, in words.
        value: what came.
        at_most: the largest number allowed; None for `MOST_INTEGER` or `MOST_NUMBER`.

    Raises:
        ConfigError: if the condition does not hold, or the number is larger.
    """
    if not condition:
        # Grey levels where images in [0, 1] were meant are the commonest slip of all.
        levels = isinstance(value, Distance) and 1 < value <= 255
        hint = f"; did you mean {value}/255?" if levels and "/" not in str(value) else ""
        raise ConfigError(f"{key}: expected {expected}, got {quoted(value)}{hint}")
    if isinstance(value, int | float):
        most = at_most if at_most is not None else MOST_INTEGER if isinstance(value, int) else MOST_NUMBER
        if value > most:
            limit = f"{most:g}" if isinstance(most, float) else str(most)
            raise ConfigError(f"{key}: expected {expected}, at most {limit}, got {quoted(value)}")


def check_text(key: str, text: str, most: int | None = None) -> None:
    """Refuse what cannot be a name or a path: bytes that are no UTF-8 (which Python reads as surrogates), and NUL.

    Args:
        key: what it is, as it should begin the error.
        text: the name or path.
        most: characters that it may have; None for any number.

    Raises:
        ConfigError: the message names the key.
    """
    if re.search("[\0\ud800-\udfff]", text):
        raise ConfigError(f"{key}: expected text in UTF-8 without NUL, got {quoted(text)}")
    if most is not None and len(text) > most:
        raise ConfigError(f"{key}: expected at most {most} characters, got {len(text)}: {quoted(text)}")


def quoted(value: object) -> str:
    """A value as an error repeats it, shortened where it is long."""
    try:
        return shorten(repr(value))
    except ValueError:  # Python prints no integer of more than 4300 digits
        return "a number of thousands of digits"


@dataclass(frozen=True, kw_only=True)
class ComputeConfig:
    """Where and how repeatably a command computes.

    Args:
        seed: decides everything random, >= 0. The same seed gives the same numbers, bit for bit, on the same kind of
            processor with as many threads and the same versions; elsewhere a search may find another cell.
        device: auto, cpu, or an accelerator such as cuda:0.
        threads: CPU threads to compute with; null leaves torch's choice. Sums depend on it in their last bits.
        deterministic: compute the same numbers on every x86-64 processor with AVX2, or on every GPU of a kind. It is
            slower, and takes one process, one thread and float32.
    """

    seed: int = 0
    device: str = "auto"
    threads: int | None = None
    deterministic: bool = False

    def __post_init__(self) -> None:
        """Check the ranges, and that `deterministic` is asked only for what it promises."""
        require(self.seed >= 0, "seed", "an integer >= 0", self.seed, at_most=MOST_SEED)
        threads = self.threads
        require(threads is None or threads >= 1, "threads", "an integer >= 1 or null", threads, at_most=MOST_THREADS)
        if self.deterministic:
            require(threads in (None, 1), "threads", "1 or null with deterministic", threads)
            for group, key in (("training", "precision"), ("evaluation", "query_precision")):
                precision = getattr(getattr(self, group, None), key, "float32")
                require(precision == "float32", f"{group}.{key}", "float32 with deterministic", precision)

    def compute_settings(self) -> dict[str, Any]:
        """These settings alone, by name: what a command that is begun by this one takes over."""
        return {field.name: getattr(self, field.name) for field in fields(ComputeConfig)}


def plain(config: Any) -> Any:
    """A configuration as nested dictionaries, lists and scalars, as YAML and JSON write it; distances stay text.

    One with a method `plain` says itself how it is written.
    """
    if is_dataclass(config) and callable(own := getattr(config, "plain", None)):
        return own()
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

    The fields are arguments of PGD as it stands: ``rnas.attacks.pgd_linf(model, images, labels, **vars(attack))``.

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
        require(self.steps >= 1, "steps", "an integer >= 1", self.steps, at_most=MOST_STEPS)


def default_step(eps: Distance) -> Distance:
    """Length of a step of PGD that nobody has named: a quarter of eps, and in a ball without room any, 2/255."""
    if not eps > 0:
        return Distance("2/255")
    # Of a fraction a fraction, as papers write them.
    return Distance(str(Fraction(eps.text) / 4) if "/" in eps.text else eps / 4)


@dataclass(frozen=True)
class WeightConfig:
    """The optimiser of network weights: SGD with momentum under a cosine schedule that ends at zero.

    Args:
        batch_size: images a step, at least 2; all images where there are fewer. An epoch has whole batches only.
        learning_rate: learning rate of the weights at the start, > 0.
        momentum: momentum of SGD, in [0, 1).
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
        require(self.learning_rate > 0, "learning_rate", "a number > 0", self.learning_rate, at_most=MOST_RATE)
        require(0 <= self.momentum < 1, "momentum", "a number in [0, 1)", self.momentum)
        require(self.weight_decay >= 0, "weight_decay", "a number >= 0", self.weight_decay)
        require(self.gradient_clip > 0, "gradient_clip", "a number > 0", self.gradient_clip, at_most=MOST_RATE)
