"""metrics.jsonl, one line a measurement, and the same numbers as TensorBoard events beside it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rnas.documents import is_number
from rnas.errors import RunError
from rnas.run.files import append, cut_back, require_regular, sync

if TYPE_CHECKING:
    from rnas.run.events import EventFile

__all__ = ["MetricsLog"]


class MetricsLog:
    """What a run measures, in order.

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
        """What a checkpoint is to say of the lines before it, which are on the disk from now on.

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
