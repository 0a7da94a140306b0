"""What a study varies: ranges and choices of settings, written in one word each and checked as the settings are.

    search.constraint.bound=40%..95%          whole percents from 40% to 95%
    training.learning_rate=0.01..0.2:log      any number in between, by its logarithm
    network.channels=4..16:step=2             4, 6, ..., 16
    training.attack.eps=4/255..16/255         4/255, 5/255, ..., 16/255
    search.algorithm=rnas,largest             one of these

Ends without a point or an exponent give whole numbers. `:points=5` takes five evenly spaced values of a range, as if
they had been listed; a grid needs it where a range has any number in it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rnas.config import MOST_CHARACTERS, check_text, quoted
from rnas.errors import ConfigError

__all__ = ["Dimension", "Value", "parse_dimension", "parse_space", "readable", "rounded"]

#: A value as a settings file writes it.
Value = str | int | float | bool | None

#: Digits that a number between the ends of a range keeps: more would only be noise in a settings file.
DIGITS = 4

#: Values of one dimension, and dimensions: more are a slip.
MOST_VALUES = 10_000
MOST_DIMENSIONS = 100

_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_RANGE = re.compile(rf"\s*({_NUMBER})(%|/\d+)?\s*\.\.\s*({_NUMBER})(%|/\d+)?((?::[^:]*)*)\s*")

_FORMS = "a range such as 40%..95% or 0.01..0.2:log, or values with commas between them"


@dataclass(frozen=True)
class Dimension:
    """One setting and what it may be: `choices`, or else the numbers of a range.

    Args:
        key: the setting, such as "training.learning_rate".
        choices: values, at least two; empty for a range.
        low: lower end of a range, in its unit.
        high: upper end, above `low`.
        step: between two neighbours of a range; 0 where any number in between may be.
        log: whether the logarithm is what is drawn evenly.
        unit: what follows a number: "", "%", or "/255".
    """

    key: str
    choices: tuple[Value, ...] = ()
    low: float = 0.0
    high: float = 0.0
    step: float = 0.0
    log: bool = False
    unit: str = ""

    @property
    def whole(self) -> bool:
        """Whether the range holds whole numbers only."""
        return self.step >= 1 and float(self.low).is_integer() and float(self.step).is_integer()

    @property
    def numeric(self) -> bool:
        """Whether its values have a place on an axis of numbers."""
        return not self.choices or all(isinstance(value, (int, float)) for value in self.choices if value is not True)

    @property
    def size(self) -> int | None:
        """How many values there are; None for any number in a range."""
        if self.choices:
            return len(self.choices)
        return round((self.high - self.low) / self.step) + 1 if self.step else None

    def values(self) -> Iterator[Value]:
        """All values, of which there is a number, as settings."""
        if self.choices:
            yield from self.choices
            return
        for index in range(self.size or 0):
            yield self.setting(self.low + index * self.step)

    def setting(self, drawn: Value) -> Value:
        """What was drawn, as the setting: a choice as it is, a number of a range with its unit."""
        if self.choices or isinstance(drawn, str) or drawn is None:
            return drawn
        number: int | float = round(drawn) if self.whole else rounded(float(drawn), self.low, self.high)
        return f"{number}{self.unit}" if self.unit else number

    @property
    def words(self) -> str:
        """What it may be, as a page says it."""
        if self.choices:
            return ", ".join(map(readable, self.choices))
        words = [" to ".join(readable(self.setting(end)) for end in (self.low, self.high))]
        words += ["by its logarithm"] if self.log else []
        words += [f"in steps of {self.step:g}{self.unit}"] if self.step not in (0.0, 1.0) else []
        return ", ".join(words)

    def ends(self) -> list[Value]:
        """Values of which the setting has to take each: all choices; of a range the ends and what is next to them."""
        if self.choices:
            return list(self.choices)
        between = [self.low + self.step, self.high - self.step] if self.step else []
        return list(dict.fromkeys(map(self.setting, (self.low, *between, self.high))))


def rounded(value: float, low: float, high: float) -> float:
    """A number to `DIGITS` significant digits, within its range."""
    return min(max(float(f"{value:.{DIGITS}g}"), low), high)


def readable(value: object) -> str:
    """A value as it stands in a settings file."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return f"{value:g}" if isinstance(value, float) else str(value)


def parse_space(space: Mapping[str, Any]) -> tuple[Dimension, ...]:
    """The dimensions of a space, in the order of their names.

    Args:
        space: setting -> a range or values as text, or a list of values.

    Raises:
        ConfigError: if there is none, a range is empty or a dimension has fewer than two values.
    """
    if not space:
        raise ConfigError(f"space: expected at least one --space SETTING=RANGE, with {_FORMS}, got none")
    if len(space) > MOST_DIMENSIONS:
        raise ConfigError(f"space: expected at most {MOST_DIMENSIONS} settings, got {len(space)}")
    return tuple(parse_dimension(key, space[key]) for key in sorted(space))


def parse_dimension(key: str, spec: object) -> Dimension:
    """One dimension; arguments and errors are those of `parse_space`."""
    for text in [key, *(spec if isinstance(spec, list) else [spec])]:
        if isinstance(text, str):
            check_text(f"space: {quoted(key)[1:-1]}", text, MOST_CHARACTERS)
    if isinstance(spec, list):
        return chosen_from(key, spec)
    if not isinstance(spec, str) or not spec.strip():
        raise ConfigError(f"space: {key}: expected {_FORMS}, got {quoted(spec)}")
    if ".." not in spec:
        return chosen_from(key, [scalar(word.strip()) for word in spec.split(",")])
    found = _RANGE.fullmatch(spec)
    if found is None:
        raise ConfigError(f"space: {key}: expected {_FORMS}, got {quoted(spec)}")
    first, low_unit, last, high_unit, options = found.groups()
    if low_unit != high_unit:
        raise ConfigError(f"space: {key}: expected both ends in one unit, such as 40%..95%, got {quoted(spec)}")
    return ranged(key, spec, (first, last), low_unit or "", options_of(key, options))


def ranged(key: str, spec: str, ends: tuple[str, str], unit: str, options: Mapping[str, str]) -> Dimension:
    """The numbers from one end to the other.

    Args:
        key: the setting.
        spec: as it was written, for errors.
        ends: the two numbers, without their unit.
        unit: of both.
        options: "log", "step" and "points", those that were given.
    """
    low, high = map(float, ends)
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise ConfigError(f"space: {key}: expected a range whose first end is the lower one, got {quoted(spec)}")
    integers = all(re.fullmatch(r"[-+]?\d+", end) for end in ends)
    if unit.startswith("/") and (not integers or int(unit[1:]) == 0):
        raise ConfigError(f"space: {key}: expected whole numbers over one above 0, such as 4/255, got {quoted(spec)}")
    log = "log" in options
    if log and low <= 0:
        raise ConfigError(f"space: {key}: expected ends above 0 for a range by its logarithm, got {quoted(spec)}")
    if "points" in options:
        count = counted(key, options["points"])
        places = [index / (count - 1) for index in range(count)]
        drawn = [low * (high / low) ** place if log else low + (high - low) * place for place in places]
        dimension = Dimension(key, (), low, high, 1.0 if integers else 0.0, log, unit)
        return chosen_from(key, list(dict.fromkeys(map(dimension.setting, drawn))))
    step = stepped(key, spec, options["step"], high - low) if "step" in options else 1.0 if integers else 0.0
    if log and step > 0 and (step != 1.0 or not integers):
        raise ConfigError(f"space: {key}: expected a step or a logarithm, not both, got {quoted(spec)}")
    dimension = Dimension(key, (), low, high, step, log, unit)
    if (dimension.size or 0) > MOST_VALUES and "step" in options:
        raise ConfigError(f"space: {key}: expected at most {MOST_VALUES} steps, got {quoted(spec)}")
    return dimension


def options_of(key: str, text: str) -> dict[str, str]:
    """What follows a range, by name: ``":log:step=2"``."""
    options: dict[str, str] = {}
    for part in text.split(":")[1:]:
        name, equals, value = part.partition("=")
        if name not in ("log", "step", "points") or name in options or bool(equals) != (name != "log"):
            raise ConfigError(f"space: {key}: expected :log, :step=2 or :points=5 after a range, got {quoted(part)}")
        options[name] = value
    if "step" in options and "points" in options:
        raise ConfigError(f"space: {key}: expected a step or a number of points, not both")
    return options


def counted(key: str, text: str) -> int:
    """A number of points."""
    if not re.fullmatch(r"\d{1,5}", text) or not 2 <= int(text) <= MOST_VALUES:
        raise ConfigError(f"space: {key}: expected 2 to {MOST_VALUES} points, got {quoted(text)}")
    return int(text)


def stepped(key: str, spec: str, text: str, span: float) -> float:
    """The step of a range, of which the upper end is a whole number of steps away."""
    step = float(text) if re.fullmatch(_NUMBER, text) else math.nan
    if not 0 < step <= span:
        raise ConfigError(f"space: {key}: expected a step above 0 and within the range, got {quoted(text)}")
    count = span / step
    if abs(count - round(count)) > 1e-9 * count:
        raise ConfigError(f"space: {key}: expected whole steps from end to end, got {quoted(spec)}")
    return step


def scalar(word: str) -> Value:
    """A word as YAML reads it, as far as it is a number, true, false or null; anything else stays text."""
    if word in ("null", "true", "false"):
        return {"null": None, "true": True, "false": False}[word]
    if re.fullmatch(r"[-+]?\d{1,19}", word):
        return int(word)
    return float(word) if re.fullmatch(_NUMBER, word) and math.isfinite(float(word)) else word


def chosen_from(key: str, values: Sequence[object]) -> Dimension:
    """Choices that were listed."""
    for value in values:
        if value is not None and not isinstance(value, (str, int, float)):
            raise ConfigError(f"space: {key}: expected words and numbers in its list, got {quoted(value)}")
        if value == "":
            raise ConfigError(f"space: {key}: expected {_FORMS}, got an empty one")
    choices = tuple(value for value in values if value is None or isinstance(value, (str, int, float)))
    if len({(readable(value)) for value in choices}) < len(choices):
        raise ConfigError(f"space: {key}: expected each value once, got {', '.join(map(readable, choices))}")
    if not 2 <= len(choices) <= MOST_VALUES:
        came = f"only {readable(choices[0])}" if len(choices) == 1 else len(choices)
        raise ConfigError(f"space: {key}: expected two values or more, at most {MOST_VALUES}, got {came}")
    return Dimension(key, choices)
