"""The words ``--space SETTING=RANGE`` of a command line, as the one setting `space` that a configuration has."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from rnas.config import check_text, quoted
from rnas.documents import check_yaml, text_of
from rnas.errors import ConfigError, RunError
from rnas.run.files import MEBIBYTE, read_bytes

__all__ = ["one_space"]


def one_space(arguments: Sequence[str]) -> list[str]:
    """The arguments with all their ``--space`` in one: dimensions by setting, of files and of words.

    Raises:
        ConfigError: if a word is neither SETTING=RANGE nor a file of such, or a setting is given twice.
    """
    rest: list[str] = []
    space: dict[str, Any] = {}
    items = iter(arguments)
    given = False
    for item in items:
        option, equals, value = item.partition("=")
        if option != "--space":
            rest.append(item)
            continue
        value = value if equals else next(items, "")
        given = True
        for key, spec in dimensions_in(value).items():
            if key in space:
                raise ConfigError(f"space: expected each setting once, got {quoted(key)} twice")
            space[key] = spec
    return [*rest, f"--space={json.dumps(space)}"] if given else rest


def dimensions_in(word: str) -> dict[str, Any]:
    """What one ``--space`` says."""
    if word.startswith("{"):
        return mapping(word, "space")
    if word.endswith((".yaml", ".yml")) and "=" not in word:
        return from_file(Path(word))
    key, equals, spec = word.partition("=")
    if not equals or not key or key.startswith("-") or not spec:
        raise ConfigError(
            f"space: expected SETTING=RANGE such as search.constraint.bound=40%..95%, or a YAML file, "
            f"got {quoted(word)}"
        )
    check_text("space", word)
    return {key: spec}


def from_file(path: Path) -> dict[str, Any]:
    """The dimensions in a YAML file."""
    check_text("space", str(path))
    try:
        text = text_of(read_bytes(path, limit=MEBIBYTE), str(path))
    except OSError as error:
        raise ConfigError(f"space: {path}: {error.strerror or error}") from error
    except RunError as error:
        raise ConfigError(f"space: {error}") from error
    return mapping(text, f"space: {path}")


def mapping(text: str, where: str) -> dict[str, Any]:
    """Dimensions from YAML text.

    Raises:
        ConfigError: if it is not YAML, or no mapping from settings; `where` begins the message.
    """
    try:
        check_yaml(text, where)
        found = yaml.safe_load(text)
    except (RunError, yaml.YAMLError, ValueError, RecursionError) as error:
        raise ConfigError(f"{where}: {str(error).removeprefix(f'{where} ').partition(chr(10))[0]}") from error
    if not isinstance(found, dict) or not all(isinstance(key, str) for key in found):
        raise ConfigError(f"{where}: expected settings with their ranges, got {quoted(found)}")
    return found
