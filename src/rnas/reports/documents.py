"""JSON and JSONL files of a run, read with errors that name the file, the line and what is wrong there."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rnas.errors import RunError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["Metrics", "Record", "is_number", "read_bytes", "read_json", "read_metrics"]


@dataclass(frozen=True)
class Record:
    """One line of metrics.jsonl.

    Args:
        where: file and line, for errors.
        values: the line's JSON object.
    """

    where: str
    values: Mapping[str, Any]

    def number(self, key: str) -> float | None:
        """A number, or None if the record has none under that key.

        Raises:
            RunError: if the value is something else.
        """
        value = self.values.get(key)
        if value is not None and not is_number(value):
            raise RunError(f"{self.where}: {key!r} should be a number, is {json.dumps(value)[:60]}")
        return None if value is None else float(value)


@dataclass(frozen=True)
class Metrics:
    """The records of a metrics.jsonl, in order."""

    records: tuple[Record, ...] = ()

    def of(self, kind: str) -> list[Record]:
        """The records of one kind."""
        return [record for record in self.records if record.values["kind"] == kind]

    def column(self, kind: str, key: str) -> tuple[list[float], list[float]]:
        """Steps and values of one quantity; records without a value are left out.

        Raises:
            RunError: if a value or its step is not a number.
        """
        steps, values = [], []
        for record in self.of(kind):
            value = record.number(key)
            if value is not None:
                steps.append(float(record.values["step"]))
                values.append(value)
        return steps, values

    @property
    def last_step(self) -> int | None:
        """The last step that was recorded, or None."""
        return self.records[-1].values["step"] if self.records else None


def is_number(value: object) -> bool:
    """Whether a JSON value is a number; true and false are not."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def read_bytes(path: Path) -> bytes | None:
    """The content of a file, or None if it does not exist.

    Raises:
        RunError: if it exists and cannot be read.
    """
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise RunError(f"{path} cannot be read: {error.strerror or error}") from error


def read_json(path: Path) -> dict[str, Any] | None:
    """The object in a JSON file, or None if there is no such file.

    Raises:
        RunError: if the file is not JSON, or not an object.
    """
    content = read_bytes(path)
    return None if content is None else _object(content, str(path))


def read_metrics(path: Path) -> Metrics:
    """The records of a metrics.jsonl; none if there is no such file.

    A last line without its end is one that a running or killed process has not finished: it is left out.

    Raises:
        RunError: if another line is not an object with a kind (a name) and a step (an integer).
    """
    lines = (read_bytes(path) or b"").split(b"\n")[:-1]
    records = []
    for number, line in enumerate(lines, start=1):
        where = f"{path}, line {number}"
        values = _object(line, where)
        if not isinstance(values.get("kind"), str):
            raise RunError(f"{where}: expected a record with a 'kind', got {json.dumps(values)[:60]}")
        if not isinstance(values.get("step"), int) or isinstance(values["step"], bool):
            raise RunError(f"{where}: 'step' should be an integer, is {json.dumps(values.get('step'))[:60]}")
        records.append(Record(where, values))
    return Metrics(tuple(records))


def _object(content: bytes, where: str) -> dict[str, Any]:
    try:
        document = json.loads(content.decode("utf-8"))
    except json.JSONDecodeError as error:
        place = f" (line {error.lineno}, column {error.colno})"
        raise RunError(f"{where} is damaged: not JSON: {error.msg}{place}") from error
    except UnicodeDecodeError as error:
        raise RunError(f"{where} is damaged: not UTF-8 text (byte {error.start})") from error
    if not isinstance(document, dict):
        raise RunError(f"{where}: expected a JSON object, got {type(document).__name__}")
    return document
