"""Command lines to typed configurations, and errors that name the setting."""

from __future__ import annotations

import importlib
import inspect
import re
from dataclasses import fields, is_dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any, cast, get_args, get_origin

import yaml
from jsonargparse import ArgumentError, ArgumentParser, set_loader
from jsonargparse.typing import register_type

from rnas import plugins
from rnas.config import MOST_CHARACTERS, Distance, check_text, quoted
from rnas.errors import ConfigError
from rnas.genotype_texts import is_print
from rnas.reproducibility import choose_kernels
from rnas.search.extending import extended
from rnas.settings_files import check_settings, config_files, group_files, groups, hints, load_settings
from rnas.short_help import asks_for_all, asks_for_help, chosen_algorithm, shorten_help
from rnas.suggestions import explain

__all__ = ["parse", "positionals"]

register_type(Distance, serializer=str, deserializer=Distance)

#: Settings that are groups, and what one word after them means; help says it in these words.
SHORT = {
    "data": ("source", "a name, a hub id or a path: short for --data.source"),
    "network": ("name", "a network's name, or a genotype's path or print: short for --network.name, .genotype"),
    "baseline": ("name", "a network's name: short for --baseline.name"),
}


set_loader("settings", load_settings, exceptions=(yaml.YAMLError,))


def positionals(arguments: list[str]) -> tuple[list[str], list[str]]:
    """The leading arguments that are no options, and the rest.

    Raises:
        ConfigError: if one is blank, such as an unset variable of a shell script.
    """
    count = next((index for index, word in enumerate(arguments) if word.startswith("-")), len(arguments))
    blank = [word for word in arguments[:count] if not word.strip()]
    if blank:
        raise ConfigError(f"expected a name or a path, got {blank[0]!r}")
    return arguments[:count], arguments[count:]


def parse(
    command: str, kind: type, arguments: list[str], *, recipe: Path | None = None, resumable: bool = False
) -> Any:
    """Parse arguments into a configuration of a kind.

    Args:
        command: how it is called, for the help.
        kind: the configuration's dataclass.
        arguments: what follows the command and its names.
        recipe: a file whose values replace the kind's defaults.
        resumable: whether ``--resume RUN_DIRECTORY`` stands for the settings of that directory.

    Raises:
        ConfigError: if they do not make one; the message begins with the setting.
    """
    if asks_for_help(arguments) and any(word.startswith("--search.algorithm") for word in arguments):
        import_algorithms()
    try:
        return parse_as(extended(kind), command, arguments, recipe, resumable=resumable)
    except ConfigError as error:
        if not re.search(r"no setting is called '--search\.\w+\.", str(error)):
            raise
    import_algorithms()  # it may be that of an algorithm whose file has not been imported
    return parse_as(extended(kind), command, arguments, recipe, resumable=resumable)


def import_algorithms() -> None:
    """Make the settings of all our search algorithms known; imports torch."""
    importlib.import_module("rnas.search.catalogue")


def parse_as(kind: type, command: str, arguments: list[str], recipe: Path | None, *, resumable: bool) -> Any:
    """A configuration of exactly this kind; arguments and errors are those of `parse`."""
    helps = asks_for_help(arguments) and not asks_for_all(arguments)
    short = chosen_algorithm(arguments) if helps else None
    parser = parser_for(command, kind, recipe, resumable, short)
    expanded = expand(arguments, kind, resumable=resumable)
    for file in config_files(expanded):
        check_settings(Path(file), kind)
    for key, file, group in group_files(expanded, kind):
        check_settings(Path(file), group, key)
    try:
        configuration = checked(parser, kind, expanded)
    except ConfigError as error:
        for file in config_files(expanded):
            try:
                checked(parser, kind, ["--config", file])
            except ConfigError as alone:
                if file not in str(alone):
                    raise ConfigError(f"{file}: {alone}") from alone
        raise error
    if getattr(configuration, "deterministic", False):
        choose_kernels()  # here, for nothing has been computed yet
    return configuration


@cache
def parser_for(
    command: str, kind: type, recipe: Path | None, resumable: bool, short: str | None = None
) -> ArgumentParser:
    """The parser of a command.

    Args:
        command: as of `parse`.
        kind: the configuration's dataclass.
        recipe: as of `parse`.
        resumable: as of `parse`.
        short: None for help with every setting; else the search algorithm whose own settings are among those shown.
    """
    parser = ArgumentParser(
        prog=f"rnas {command}",
        description=inspect.cleandoc(kind.__doc__ or "").partition("\n\nArgs:")[0],
        exit_on_error=False,
        allow_abbrev=False,
        parser_mode="settings",
        default_config_files=[str(recipe)] if recipe else [],
    )
    parser.add_argument("--config", action="config", help="a YAML file with any of the settings below")
    if resumable:
        parser.add_argument(
            "--resume", metavar="RUN", help="a run directory: go on with its settings, which need not be given again"
        )
    parser.add_argument("--plugin", metavar="MODULE", help="a module or .py file of your own to load first; repeatable")
    parser.add_class_arguments(kind)
    named = dict(groups(kind))
    for action in parser._actions:
        if action.dest in named:
            # A group's own help is that of any file of settings.
            word = SHORT.get(action.dest)
            action.metavar = word[0].upper() if word else "FILE"
            action.help = word[1] if word else "a YAML file with the settings of this group"
    if short is not None:
        shorten_help(parser, parser._actions, short)
    return parser


def checked(parser: ArgumentParser, kind: type, arguments: list[str]) -> Any:
    """A configuration from expanded arguments; raises ConfigError if they do not make one."""
    try:
        parsed = parser.parse_args(arguments)
    except ArgumentError as error:
        raise ConfigError(explain(error.message, known_keys(kind), arguments, parser.prog)) from error
    except (ArithmeticError, AttributeError, LookupError, OSError, RecursionError, TypeError, ValueError) as error:
        # What the parser does not expect of a value or a file: it names neither.
        reason = (isinstance(error, OSError) and error.strerror) or str(error) or type(error).__name__
        raise ConfigError(f"{blamed(parser, arguments)} cannot be read: {reason}") from error
    finally:
        if hasattr(parser, "print_config"):  # it was asked for: the parser would go on printing
            parser_for.cache_clear()
    return build(kind, parsed)


def blamed(parser: ArgumentParser, arguments: list[str]) -> str:
    """The argument with which the parser fails even alone, or all of them."""
    for word, following in pairwise([*arguments, ""]):
        name, equals, value = word.partition("=")
        if not name.startswith("--"):
            continue
        try:
            parser.parse_args([word] if equals else [word, following])
        except ArgumentError:
            continue
        except Exception:
            return f"{name.removeprefix('--')}: {quoted(value if equals else following)}"
    return "the settings"


def build(kind: type, values: Any, prefix: str = "") -> Any:
    """A configuration from parsed values; what its checks refuse is told with the full name of the setting."""
    types = hints(kind)
    parts: dict[str, Any] = {}
    for field in fields(kind):
        key, value = f"{prefix}{field.name}", values[field.name]
        if is_dataclass(types[field.name]):
            parts[field.name] = build(types[field.name], value, f"{key}.")
            continue
        for text in value if isinstance(value, list) else [value]:
            if isinstance(text, str):
                check_text(key, text, MOST_CHARACTERS)
        parts[field.name] = value
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
    for name, annotation in hints(kind).items():
        keys.append(prefix + name)
        if is_dataclass(annotation):
            keys += known_keys(cast("type", annotation), f"{prefix}{name}.")
    return keys


def list_keys(kind: type, prefix: str = "") -> list[str]:
    """The settings that are lists."""
    keys = []
    for name, annotation in hints(kind).items():
        if list in [get_origin(part) for part in (annotation, *get_args(annotation))]:
            keys.append(prefix + name)
        elif is_dataclass(annotation):
            keys += list_keys(cast("type", annotation), f"{prefix}{name}.")
    return keys


def expand(arguments: list[str], kind: type, *, resumable: bool) -> list[str]:
    """Short forms: ``--data X`` for ``--data.source X``, ``--resume RUN`` for its settings, ``a,b`` for ``[a,b]``."""
    known, lists = known_keys(kind), list_keys(kind)
    expanded: list[str] = []
    items = iter(with_values(arguments))
    for item in items:
        name, equals, value = item.partition("=")
        key = name.removeprefix("--") if name.startswith("--") else ""
        short = key in SHORT and f"{key}.{SHORT[key][0]}" in known
        if short or (key == "resume" and resumable):
            value = value if equals else next(items, "")
            if not value or value.startswith("--"):
                raise ConfigError(f"{name}: expected {'a name or a path' if short else 'a run directory'}")
            expanded += written_out(key, value) if short else settings_of(value)
        elif key in lists:
            value = value if equals else next(items, "")
            if value.startswith("--"):
                raise ConfigError(
                    f"{name}: expected names with commas between them, got the setting {value.partition('=')[0]}"
                )
            expanded += [name, value if value.startswith("[") or value == "null" else f"[{value}]"]
        elif name == "--config" and equals:
            expanded += [name, value]
        else:
            expanded.append(item)
    return expanded


def with_values(arguments: list[str]) -> list[str]:
    """Arguments with the value of ``--deterministic`` where it stands alone."""
    alone = [
        word == "--deterministic" and after.lower() not in ("true", "false")
        for word, after in pairwise([*arguments, ""])
    ]
    return [f"{word}=true" if bare else word for word, bare in zip(arguments, alone, strict=True)]


def written_out(key: str, value: str) -> list[str]:
    """A group that was given one word, as the setting that is meant; a file or a mapping of settings as it is."""
    if key == "data":
        return ["--data.source", value]
    if value.startswith("{") or value.endswith((".yaml", ".yml")):
        return [f"--{key}", value]
    setting = "genotype" if "/" in value or value.endswith(".json") or is_print(value) else "name"
    return [f"--{key}.{setting}", value]


def settings_of(folder: str) -> list[str]:
    """The settings of a run directory, to go on with it."""
    check_text("--resume", folder)
    if not (Path(folder) / "config.yaml").is_file():
        raise ConfigError(f"--resume: {folder} is not a run directory: it has no config.yaml")
    plugins.require(Path(folder))
    return ["--config", str(Path(folder) / "config.yaml"), "--out", folder]
