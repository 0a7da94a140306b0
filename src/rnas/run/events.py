"""The file of events that TensorBoard shows: the numbers of metrics.jsonl as curves.

Its format is TensorBoard's, and so is what writes a record. Its writer of files is not used: that follows links, and
writes in a thread of its own, whose errors come late and as a traceback.
"""

from __future__ import annotations

import os
import secrets
import socket
import time
from collections.abc import Mapping
from pathlib import Path

from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.record_writer import RecordWriter

__all__ = ["EventFile"]


class EventFile:
    """A new file of events in a folder.

    Args:
        folder: of the run.
        step: the first step that will be written. Events of this and later steps in older files are hidden by the
            viewer, which reads it as a restart.

    Raises:
        OSError: if it cannot be written, here and later.
    """

    def __init__(self, folder: Path, step: int) -> None:
        # The viewer reads files in the order of their names.
        seconds, parts = divmod(time.time_ns(), 10**9)
        begun = f"{seconds:010d}.{parts:09d}"
        name = f"events.out.tfevents.{begun}.{socket.gethostname()}.{os.getpid()}.{secrets.token_hex(8)}"
        self._writer = RecordWriter((folder / name).open("xb", buffering=0))
        self._write(Event(step=step, file_version="brain.Event:2"))
        self._write(Event(step=step, session_log=SessionLog(status=SessionLog.START)))

    def add(self, values: Mapping[str, float], step: int) -> None:
        """Write a step's numbers, by the names of their curves."""
        scalars = [Summary.Value(tag=name, simple_value=value) for name, value in values.items()]
        self._write(Event(step=step, summary=Summary(value=scalars)))

    def close(self) -> None:
        """Close the file."""
        self._writer.close()

    def _write(self, event: Event) -> None:
        event.wall_time = time.time()
        self._writer.write(event.SerializeToString())
