"""Settings by their full names: what type each has, and a configuration in which some of them are others."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import is_dataclass, replace
from typing import Any, TypeVar, cast, get_args, get_origin

from jsonargparse import ArgumentError, ArgumentParser

from rnas.arguments import known_keys
from rnas.config import quoted
from rnas.errors import ConfigError, nearest
from rnas.settings_files import hints
from rnas.suggestions import explain, meant
from rnas.terminal import shorten
from rnas.tuning.space import Dimension, Value, readable

__all__ = ["changed", "check_dimensions", "typed"]

Config = TypeVar("Config")

#: Groups of settings that a study may vary, and the one setting outside of them.
VARIED = ("search", "network", "training", "seed")

#: Settings in these groups that are no matter of a study.
KEPT = ("network.name", "network.genotype")


def check_dimensions(kind: type, dimensions: Sequence[Dimension]) -> None:
    """Make sure that each dimension sets something that a study may vary, and that it is no list of values.

    Args:
        kind: the configuration's dataclass.
        dimensions: the space.

    Raises:
        ConfigError: if a setting does not exist, which names the nearest, or may not be varied.
    """
    known = known_keys(kind)
    for key in (dimension.key for dimension in dimensions):
        if key not in known:
            near = meant(key, [name for name in known if allowed(name)])
            hint = f"; did you mean {' or '.join(near)}?" if near else nearest(key, VARIED)
            raise ConfigError(f"space: no setting is called {quoted(key)}{hint}")
        if not allowed(key):
            choices = "settings of search, network and training, and the seed"
            raise ConfigError(f"space: {key} cannot be varied: trials have to be comparable; expected {choices}")
        annotation = type_of(kind, key)
        if is_dataclass(annotation):
            first = next(iter(hints(cast("type", annotation))))
            raise ConfigError(f"space: {key}: expected one of its settings, such as {key}.{first}")
        if list in [get_origin(part) for part in (annotation, *get_args(annotation))]:
            raise ConfigError(f"space: {key} is a list of values, which a study does not vary")


def allowed(key: str) -> bool:
    """Whether a study may vary a setting."""
    return key.partition(".")[0] in VARIED and key not in KEPT


def type_of(kind: type, key: str) -> Any:
    """The type of a setting by its full name."""
    found: Any = kind
    for name in key.split("."):
        found = hints(found)[name]
    return found


def typed(kind: type, key: str, value: Value) -> Any:
    """A value as the setting holds it: read as the command line reads it.

    Raises:
        ConfigError: if it is of another type; the message begins with the setting.
    """
    parser = ArgumentParser(exit_on_error=False, parser_mode="settings")
    parser.add_argument("--value", type=type_of(kind, key))
    try:
        return parser.parse_args([f"--value={readable(value)}"]).value
    except ArgumentError as error:
        message = re.sub(r"^value: ", "", explain(error.message, ["value"]))
        raise ConfigError(f"{key}: {message}") from error
    except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:
        raise ConfigError(f"{key}: {shorten(readable(value))!r} cannot be read: {error}") from error


def changed(config: Config, values: Mapping[str, Any], prefix: str = "") -> Config:
    """A configuration with other values of some settings.

    Args:
        config: a dataclass that may hold others.
        values: by full name, such as ``{"search.constraint.bound": "60%"}``, each of the setting's type.
        prefix: of its own settings, for errors.

    Raises:
        ConfigError: if the values do not go together; the message begins with the setting.
    """
    groups: dict[str, dict[str, Any]] = {}
    parts: dict[str, Any] = {}
    for key, value in values.items():
        head, dot, rest = key.partition(".")
        if dot:
            groups.setdefault(head, {})[rest] = value
        else:
            parts[head] = value
    for head, inner in groups.items():
        parts[head] = changed(getattr(config, head), inner, f"{prefix}{head}.")
    try:
        return replace(config, **parts)  # type: ignore[type-var]
    except ConfigError as error:
        message = str(error)
        if not prefix or message.startswith(prefix):
            raise
        raise ConfigError(f"{prefix}{message}") from error
