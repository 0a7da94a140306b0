"""Files of settings, looked at before the parser unfolds them: regular, bounded, and none that names further files."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import is_dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any, cast, get_type_hints

import yaml
from jsonargparse import get_loader

from rnas.config import quoted
from rnas.documents import check_yaml, text_of
from rnas.errors import ConfigError, RunError
from rnas.run.files import MEBIBYTE, read_bytes

__all__ = ["check_settings", "config_files", "group_files", "groups", "hints", "load_settings"]


def load_settings(text: str) -> Any:
    """Settings from YAML, in which ``data: SOURCE`` is short for its `source`, as --data SOURCE is."""
    loaded = get_loader("yaml")(text)
    if isinstance(loaded, dict) and isinstance(loaded.get("data", {}), str | None):
        loaded["data"] = {"source": loaded["data"]} if loaded["data"] else {}
    return loaded


def config_files(expanded: list[str]) -> list[str]:
    """The files of settings that expanded arguments name."""
    return [value for name, value in pairwise(expanded) if name == "--config"]


def group_files(expanded: list[str], kind: type) -> Iterator[tuple[str, str, type]]:
    """The files that expanded arguments name for a group of settings: its key, the file, and the group's dataclass."""
    known = dict(groups(kind))
    for word, following in pairwise([*expanded, ""]):
        name, equals, value = word.partition("=")
        key, file = name.removeprefix("--"), value if equals else following
        if name.startswith("--") and key in known and os.path.lexists(file):
            yield key, file, known[key]


def check_settings(path: Path, kind: type, key: str = "config") -> None:
    """Make sure that a file of settings can be given to a parser, which would read and unfold anything.

    Args:
        path: the file.
        kind: the dataclass that its settings make.
        key: the option that names it.

    Raises:
        ConfigError: if it is no regular file, or no YAML of a bounded size, or names further files.
    """
    try:
        text = text_of(read_bytes(path, limit=MEBIBYTE), str(path))
        check_yaml(text, str(path))
    except FileNotFoundError:
        return  # told by the parser
    except RunError as error:
        raise ConfigError(f"{key}: {error}") from error
    try:
        settings = load_settings(text)
    except (yaml.YAMLError, ValueError):
        return  # told by the parser
    for name, _ in groups(kind):
        value = settings
        for part in name.split("."):
            value = value.get(part) if isinstance(value, dict) else None
        if isinstance(value, str):
            raise ConfigError(f"{path}: {name}: expected settings by name, got {quoted(value)}")


@cache
def hints(kind: type) -> dict[str, Any]:
    """The types of a configuration's settings."""
    return get_type_hints(kind)


def groups(kind: type, prefix: str = "") -> Iterator[tuple[str, type]]:
    """The settings that hold others, each with its dataclass."""
    for name, annotation in hints(kind).items():
        if is_dataclass(annotation):
            yield prefix + name, cast("type", annotation)
            yield from groups(cast("type", annotation), f"{prefix}{name}.")
