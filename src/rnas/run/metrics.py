"""metrics.jsonl, one line a measurement, written and read; the same numbers as TensorBoard events beside it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rnas.documents import is_number, parse_object
from rnas.errors import RunError
from rnas.run.files import MEBIBYTE, append, cut_back, manifest_in, read_bytes, require_regular, sync
from rnas.run.integrity import identity, read_comment

if TYPE_CHECKING:
    from rnas.run.events import EventFile

__all__ = ["Metrics", "MetricsLog", "Record", "read_metrics"]

#: Bytes of the longest metrics.jsonl: that of a search of the paper has some 50 million.
LONGEST = 1024 * MEBIBYTE


class MetricsLog:
    """The measurements of a run, in order.

    Args:
        folder: of the run; nothing is written yet.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / "metrics.jsonl"
        self._events: EventFile | None = None

    def add(self, kind: str, step: int, epoch: int, values: Mapping[str, Any]) -> None:
        """Append a line; arguments are those of `Run.log`, and an OSError is raised if it cannot be written."""
        append(self.path, json.dumps({"kind": kind, "step": step, "epoch": epoch, **values}) + "\n")
        if self._events is None:
            from rnas.run.events import EventFile

            self._events = EventFile(self.path.parent, step)
        self._events.add({f"{kind}/{name}": value for name, value in values.items() if is_number(value)}, step)

    def extent(self) -> dict[str, Any]:
        """Bring the lines so far to the disk; returns what a checkpoint is to say of them.

        After a power failure a checkpoint must not tell of lines that are lost.

        Raises:
            RunError: if they cannot be brought there.
        """
        logged = self._logged()
        try:
            if self.path.exists():
                sync(self.path)
        except OSError as error:
            reason = error.strerror or error
            raise RunError(f"cannot write {self.path}: {reason}; what was saved there before is intact") from error
        return {"metrics_bytes": len(logged), "metrics_sha256": hashlib.sha256(logged).hexdigest()}

    def return_to(self, state: Mapping[str, Any] | None, checkpoint: Path) -> None:
        """Cut the lines back to those before a checkpoint.

        Args:
            state: of the checkpoint, with what `extent` gave; None for none.
            checkpoint: its file, for errors.

        Raises:
            RunError: if lines before it are lost or are others.
        """
        kept = state["metrics_bytes"] if state else 0
        logged = self._logged()
        if len(logged) < kept:
            raise RunError(
                f"{self.path} has lost lines: expected the {kept} bytes up to the last checkpoint, got {len(logged)}; "
                f"restore it from a copy, or delete {checkpoint} to start this stage again"
            )
        known = None if state is None else state.get("metrics_sha256")  # none from an older version
        if known is not None and hashlib.sha256(logged[:kept]).hexdigest() != known:
            raise RunError(
                f"{self.path} was damaged or edited: its first {kept} bytes are not those that the last checkpoint "
                f"followed; restore it from a copy, or delete {checkpoint} to start this stage again"
            )
        if len(logged) > kept:
            cut_back(self.path, kept)

    def _logged(self) -> bytes:
        require_regular(self.path)
        return self.path.read_bytes() if self.path.exists() else b""

    def close(self) -> None:
        """Close the file of events."""
        if self._events is not None:
            self._events.close()


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
    manifest = manifest_in(path.parent)
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
