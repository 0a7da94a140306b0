"""Files written whole or not at all, and read with errors of one line."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from rnas.errors import RunError

__all__ = ["read_object", "read_summary", "write_atomically"]


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


def read_summary(folder: Path) -> dict[str, Any]:
    """The content of a run directory's results.json.

    Raises:
        RunError: if it is missing or damaged.
    """
    path = folder / "results.json"
    try:
        return read_object(path)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise RunError(f"no results at {path}") from error


def read_object(path: Path) -> dict[str, Any]:
    """The object in a JSON file.

    Raises:
        FileNotFoundError, NotADirectoryError: if there is no such file: the caller knows what that means.
        RunError: if it is damaged.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        raise
    except (OSError, ValueError) as error:
        raise RunError(f"{path} is damaged: {error}") from error
    if not isinstance(document, dict):
        raise RunError(f"{path} is damaged: expected an object, got {type(document).__name__}")
    return document
