"""JSON and YAML texts of others: whatever they hold, the answer is a document or an error of one line.

What a text of a few bytes can do to a parser is bounded here: lists within lists until Python's stack is full, numbers
of thousands of digits, and in YAML names for parts that repeat each other until a document has billions of them.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from types import NoneType
from typing import Any, NoReturn

import yaml

from rnas.errors import RunError

__all__ = [
    "check_fields",
    "check_yaml",
    "count",
    "entries",
    "is_number",
    "parse_json",
    "parse_object",
    "part",
    "share",
    "text_of",
    "whole",
]

#: Of settings: no file of them has half of these.
DEPTH = 100
PARTS = 10_000

#: An integer beyond is neither a size nor a seed, and has no place in a tensor or a float.
LARGEST = 2**64


def text_of(content: bytes, where: str) -> str:
    """Bytes as text.

    Raises:
        RunError: if they are not UTF-8.
    """
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise RunError(f"{where} is damaged: not UTF-8 text (byte {error.start})") from error


def parse_json(content: bytes | str, where: str, *, finite: bool = True) -> Any:
    """The value in a JSON text.

    Args:
        content: the text, or its bytes.
        where: the file and the place in it, for errors.
        finite: whether to refuse NaN, Infinity and numbers that a float cannot hold.

    Raises:
        RunError: if it is not JSON, nested too deeply, or holds a number that nothing can use.
    """
    text = content if isinstance(content, str) else text_of(content, where)

    def refuse(number: str) -> NoReturn:
        raise RunError(f"{where} is damaged: {_short(number)} is no number that it may hold")

    def integer(digits: str) -> int:
        # Python's own limit of digits is far above; counted first, for reading takes time with their square.
        if len(digits) > len(str(-LARGEST)) or abs(int(digits)) >= LARGEST:
            refuse(digits)
        return int(digits)

    def real(digits: str) -> float:
        value = float(digits)
        if finite and not math.isfinite(value):
            refuse(digits)
        return value

    try:
        value = json.loads(text, parse_int=integer, parse_float=real, parse_constant=refuse if finite else float)
        if "\\ud" in text.lower():  # half of a letter, perhaps, which no file and no terminal takes
            json.dumps(value, ensure_ascii=False).encode()
        return value
    except UnicodeEncodeError as error:
        raise RunError(f"{where} is damaged: half of a character stands alone in it") from error
    except json.JSONDecodeError as error:
        place = f" (line {error.lineno}, column {error.colno})"
        raise RunError(f"{where} is damaged: not JSON: {error.msg}{place}") from error
    except RecursionError as error:
        raise RunError(f"{where} is damaged: lists or objects nested too deeply") from error


def parse_object(content: bytes | str, where: str, *, finite: bool = True) -> dict[str, Any]:
    """The object in a JSON text; arguments and errors are those of `parse_json`."""
    document = parse_json(content, where, finite=finite)
    if not isinstance(document, dict):
        raise RunError(f"{where} is damaged: expected a JSON object, got {type(document).__name__}")
    return document


def check_fields(document: Mapping[str, Any], fields: Mapping[str, tuple[type, ...]], where: str) -> None:
    """Make sure that values of a document are of the types that its readers expect.

    Args:
        document: an object of JSON.
        fields: key -> types; with None's among them it may be missing. True and False are no integers.
        where: the file, for errors.

    Raises:
        RunError: if one is missing or of another type.
    """
    for key, kinds in fields.items():
        value = document.get(key)
        if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
            expected = " or ".join("null" if kind is NoneType else kind.__name__ for kind in kinds)
            came = json.dumps(value)[:60] if key in document else "missing"
            raise RunError(f"{where} is damaged: {key!r} should be {expected}, is {came}")


def part(document: Mapping[str, Any], key: str, where: str) -> Mapping[str, Any]:
    """An object within a document, empty where there is none; arguments and errors are those of `check_fields`."""
    found = document.get(key, {})
    if not isinstance(found, dict):
        raise RunError(f"{where}: {key!r} should be an object, is {type(found).__name__}")
    return found


def entries(document: Mapping[str, Any], key: str, where: str) -> list[dict[str, Any]]:
    """A list of objects within a document, empty where there is none; otherwise as `part`."""
    found = document.get(key, [])
    if not isinstance(found, list) or not all(isinstance(entry, dict) for entry in found):
        raise RunError(f"{where}: {key!r} should be a list of objects")
    return found


def whole(document: Mapping[str, Any], key: str, where: str) -> int | None:
    """An integer within a document, None where there is none; otherwise as `part`."""
    value = document.get(key)
    if value is not None and (not isinstance(value, int) or isinstance(value, bool)):
        raise RunError(f"{where}: {key!r} should be an integer, is {value!r}")
    return value


def count(document: Mapping[str, Any], key: str, where: str) -> int:
    """A positive integer within a document; raises RunError if it is missing or something else."""
    value = whole(document, key, where)
    if value is None or value < 1:
        raise RunError(f"{where}: {key!r} should be a positive integer, is {document.get(key)!r}")
    return value


def share(document: Mapping[str, Any], key: str, where: str) -> float:
    """A number in [0, 1] within a document; raises RunError if it is missing or something else."""
    value = document.get(key)
    if not is_number(value) or not 0.0 <= float(value or 0.0) <= 1.0:
        raise RunError(f"{where}: {key!r} should be a number in [0, 1], is {value!r}")
    return float(value or 0.0)


def is_number(value: object) -> bool:
    """Whether a JSON value is a number; true and false are not."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def check_yaml(text: str, where: str) -> None:
    """Make sure that a YAML text can be read and has a bounded size, its repeated parts counted as often as they occur.

    Args:
        text: of a file of settings.
        where: the file, for errors.

    Raises:
        RunError: if it is not YAML, nested too deeply, or too large.
    """
    named: dict[str | None, int] = {}
    # The parts of every list and mapping that is open, and its name.
    sizes, names = [0], [""]
    try:
        for event in yaml.parse(text, yaml.SafeLoader):
            if isinstance(event, yaml.AliasEvent):
                if event.anchor not in named:  # one within itself, too
                    raise RunError(f"{where} is not YAML: no part before *{event.anchor} has that name")
                sizes[-1] += named[event.anchor]
            elif isinstance(event, yaml.ScalarEvent):
                sizes[-1] += 1
                if event.anchor:
                    named[event.anchor] = 1
            elif isinstance(event, yaml.CollectionStartEvent):
                sizes.append(1)
                names.append(event.anchor or "")
            elif isinstance(event, yaml.CollectionEndEvent):
                size = sizes.pop()
                named[names.pop()] = size
                sizes[-1] += size
            if len(sizes) > DEPTH:
                raise RunError(f"{where}: expected settings, got lists or mappings nested more than {DEPTH} deep")
            if sizes[-1] > PARTS:
                raise RunError(f"{where}: expected settings, got more than {PARTS:,} parts")
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f" (line {mark.line + 1}, column {mark.column + 1})" if mark else ""
        reason = getattr(error, "problem", None) or str(error).partition("\n")[0]
        raise RunError(f"{where} is not YAML: {reason}{place}") from error


def _short(text: str) -> str:
    return text if len(text) <= 24 else f"{text[:20]}... of {len(text)} digits"
