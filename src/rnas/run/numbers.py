"""JSON and JSONL files of a run, read with errors that name the file, the line and what is wrong there."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rnas.documents import is_number, parse_object
from rnas.errors import RunError
from rnas.run.files import MEBIBYTE, read_bytes, read_object
from rnas.run.integrity import identity, read_comment

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["Metrics", "Record", "read_metrics"]

#: Bytes of the longest metrics.jsonl: that of a search of the paper has some 50 million.
LONGEST = 1024 * MEBIBYTE


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


def read_metrics(path: Path) -> Metrics:
    """The records of a metrics.jsonl; none if there is no such file.

    A last line without its end is one that a running or killed process has not finished: it is left out.

    Raises:
        RunError: if another line is not an object with a kind (a name) and a step (an integer), or the lines are not
            those that the run wrote, as far as its last checkpoint knows.
    """
    manifest = read_object(path.with_name("manifest.json"), finite=False) or {}
    about = read_comment(path.with_name("checkpoint.pt"))  # before the lines, which may become more meanwhile
    try:
        content = read_bytes(path, limit=LONGEST)
    except (FileNotFoundError, NotADirectoryError) as error:
        if path.name in manifest.get("files", {}):
            raise RunError(f"{path} is missing, though its run has finished") from error
        return Metrics()
    if not content and manifest.get("finished"):
        raise RunError(f"{path} is empty, though its run has finished")
    known = about.get("metrics_bytes", 0) if about.get("run") == identity(manifest) else 0
    if known and hashlib.sha256(content[:known]).hexdigest() != about.get("metrics_sha256"):
        raise RunError(f"{path} is not what the run wrote up to its last checkpoint: it was damaged or edited")
    lines = content.split(b"\n")[:-1]
    records = []
    for number, line in enumerate(lines, start=1):
        where = f"{path}, line {number}"
        values = parse_object(line, where, finite=False)
        if not isinstance(values.get("kind"), str):
            raise RunError(f"{where}: expected a record with a 'kind', got {json.dumps(values)[:60]}")
        if not isinstance(values.get("step"), int) or isinstance(values["step"], bool):
            raise RunError(f"{where}: 'step' should be an integer, is {json.dumps(values.get('step'))[:60]}")
        records.append(Record(where, values))
    return Metrics(tuple(records))
