"""Command lines to typed configurations, and errors that name the setting."""

from __future__ import annotations

import difflib
import inspect
import re
from dataclasses import fields, is_dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, cast, get_origin, get_type_hints

from jsonargparse import ArgumentError, ArgumentParser
from jsonargparse.typing import register_type

from rnas.config import Distance
from rnas.documents import check_yaml, text_of
from rnas.errors import ConfigError, RunError
from rnas.files import MEBIBYTE, read_bytes

__all__ = ["parse", "positionals"]

register_type(Distance, serializer=str, deserializer=Distance)


def positionals(arguments: list[str]) -> tuple[list[str], list[str]]:
    """The leading arguments that are no options, and the rest."""
    count = next((index for index, word in enumerate(arguments) if word.startswith("-")), len(arguments))
    return arguments[:count], arguments[count:]


def parse(command: str, kind: type, arguments: list[str], *, recipe: Path | None = None) -> Any:
    """Parse arguments into a configuration of a kind; a recipe's values replace the kind's defaults."""
    parser = ArgumentParser(
        prog=f"rnas {command}",
        description=inspect.cleandoc(kind.__doc__ or "").partition("\n\nArgs:")[0],
        exit_on_error=False,
        allow_abbrev=False,
        default_config_files=[str(recipe)] if recipe else [],
    )
    parser.add_argument("--config", action="config", help="a YAML file with any of the settings below")
    parser.add_class_arguments(kind)
    expanded = expand(arguments, kind)
    for file in config_files(expanded):
        check_settings(Path(file))
    try:
        return checked(parser, kind, expanded)
    except ConfigError as error:
        for file in config_files(expanded):
            try:
                checked(parser, kind, ["--config", file])
            except ConfigError as alone:
                if file not in str(alone):
                    raise ConfigError(f"{file}: {alone}") from alone
        raise error


def config_files(expanded: list[str]) -> list[str]:
    """The files of settings that expanded arguments name."""
    return [value for name, value in pairwise(expanded) if name == "--config"]


def check_settings(path: Path) -> None:
    """Make sure that a file of settings can be given to a parser, which would read and unfold anything.

    Raises:
        ConfigError: if it is no regular file, or no YAML of a bounded size.
    """
    try:
        check_yaml(text_of(read_bytes(path, limit=MEBIBYTE), str(path)), str(path))
    except FileNotFoundError:
        pass  # told by the parser
    except RunError as error:
        raise ConfigError(str(error)) from error


def checked(parser: ArgumentParser, kind: type, arguments: list[str]) -> Any:
    """A configuration from expanded arguments; raises ConfigError if they do not make one."""
    try:
        parsed = parser.parse_args(arguments)
    except ArgumentError as error:
        raise ConfigError(explain(error.message, known_keys(kind))) from error
    return build(kind, parsed)


def build(kind: type, values: Any, prefix: str = "") -> Any:
    """A configuration from parsed values; what its checks refuse is told with the full name of the setting."""
    types = get_type_hints(kind)
    parts = {
        field.name: build(types[field.name], values[field.name], f"{prefix}{field.name}.")
        if is_dataclass(types[field.name])
        else values[field.name]
        for field in fields(kind)
    }
    try:
        return kind(**parts)
    except ConfigError as error:
        message = str(error)
        if not prefix or message.startswith(prefix):
            raise
        named = re.match(r"\w+: ", message)
        raise ConfigError(f"{prefix}{message}" if named else f"{prefix.removesuffix('.')}: {message}") from error


def known_keys(kind: type, prefix: str = "") -> list[str]:
    """All settings of a configuration, as they are written on the command line."""
    keys = []
    for name, annotation in get_type_hints(kind).items():
        keys.append(prefix + name)
        if is_dataclass(annotation):
            keys += known_keys(cast("type", annotation), f"{prefix}{name}.")
    return keys


def list_keys(kind: type, prefix: str = "") -> list[str]:
    """The settings that are lists."""
    keys = []
    for name, annotation in get_type_hints(kind).items():
        if get_origin(annotation) is list:
            keys.append(prefix + name)
        elif is_dataclass(annotation):
            keys += list_keys(cast("type", annotation), f"{prefix}{name}.")
    return keys


def explain(message: str, known: list[str]) -> str:
    """A parser's error in one line, with the nearest setting where one is unknown."""
    if message.startswith("unrecognized arguments"):
        words = message.split(":", 1)[1].split()
        unknown = next((word for word in words if word.startswith("--")), words[0])
        if not unknown.startswith("-"):
            return f"{unknown!r} is no setting: settings begin with --, what a command takes besides them comes first"
        key = unknown.removeprefix("--").partition("=")[0]
        inside = [name for name in known if name.endswith(f".{key}")]
        similar = inside or difflib.get_close_matches(key, known, n=1, cutoff=0.4)
        hint = f"; did you mean --{similar[0]}?" if similar else ""
        return f"no setting is called {unknown!r}{hint} (--help lists all)"
    if message.startswith("Unexpected config:"):
        return f"config: expected settings by name, such as seed: 0, got {message.partition(':')[2].strip()!r}"
    if found := re.search(r"Group '([\w.]+)' does not accept option '([\w.]+)'", message):
        return explain(f"unrecognized arguments: --{found[1]}.{found[2]}", known)
    if found := re.search(r"Option '([\w.]+)' is not accepted", message):
        return explain(f"unrecognized arguments: --{found[1]}", known)
    if found := re.search(r"Parser key \"([\w.]+)\":.*NestedArg\(key='(\w+)'", message, re.DOTALL):
        return explain(f"unrecognized arguments: --{found[1]}.{found[2]}", known)
    if found := re.search(r'Parser key "([\w.]+)":\s*(.*)', message, re.DOTALL):
        # The parser lists every type it tried; what was expected and what came is enough. Our own types say it best.
        if own := re.search(r"Not of type \w+: (expected .*)", found[2]):
            return f"{found[1]}: {own[1]}"
        expected = re.findall(r"Expected an? ([^.]*?)(?:\.|$|\n)", found[2])
        came = re.search(r"(?:Given value|Got value): (.*)", found[2])
        if expected and came:
            types = " or ".join(
                re.sub(r"<class '(\w+)'>", r"\1", word).replace("NoneType", "null") for word in expected
            )
            return f"{found[1]}: expected {types}, got {came[1].strip()!r}"
        return f"{found[1]}: {found[2]}"
    return message


def expand(arguments: list[str], kind: type) -> list[str]:
    """Short forms: ``--data X`` for ``--data.source X``, ``--resume RUN`` for its settings, ``a,b`` for ``[a,b]``."""
    known, lists = known_keys(kind), list_keys(kind)
    expanded: list[str] = []
    items = iter(arguments)
    for item in items:
        name, equals, value = item.partition("=")
        if name == "--resume" or (name == "--data" and "data.source" in known):
            value = value if equals else next(items, "")
            if not value:
                raise ConfigError(f"{name}: expected {'a name or a path' if name == '--data' else 'a run directory'}")
            if name == "--data":
                expanded += ["--data.source", value]
            elif not (Path(value) / "config.yaml").is_file():
                raise ConfigError(f"--resume: {value} is not a run directory: it has no config.yaml")
            else:
                expanded += ["--config", str(Path(value) / "config.yaml"), "--out", value]
        elif name.removeprefix("--") in lists:
            value = value if equals else next(items, "")
            expanded += [name, value if value.startswith("[") else f"[{value}]"]
        elif name == "--config" and equals:
            expanded += [name, value]
        else:
            expanded.append(item)
    return expanded
