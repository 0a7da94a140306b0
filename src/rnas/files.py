"""Files written whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

from rnas.errors import RunError

__all__ = ["write_atomically"]


def write_atomically(path: Path, content: bytes | str) -> None:
    """Replace a file's content so that a reader, or a run killed at any moment, sees the old or the new, never half.

    Args:
        path: the file; its folder exists.
        content: bytes, or text to be written as UTF-8.

    Raises:
        RunError: if it cannot be written (no space, no permission); what was there before is still there.
    """
    temporary = path.with_name(f".{path.name}.partial")
    try:
        with temporary.open("wb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        reason = error.strerror or str(error)
        raise RunError(f"cannot write {path}: {reason}; what was saved there before is intact") from error
