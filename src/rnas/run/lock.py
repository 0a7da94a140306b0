"""Directories that one process at a time works in, and that leave no trace where nothing came of the work."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import filelock

from rnas.errors import RunError
from rnas.run.files import refuse_link

__all__ = ["locked"]

#: What is written before there is anything to keep. With any other file in it a directory stays.
BEGINNINGS = {".lock", "config.yaml", "genotype.json", "manifest.json", "model.json", "splits.json"}


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Make a directory if needed, and keep other processes out of it until the context ends.

    One that was made here is removed again, with the folders made around it, where an error ends the context before
    anything worth keeping is in it. After Ctrl-C it stays: the command may be continued by its name.

    Raises:
        RunError: if it cannot be written, or another process is in it.
    """
    made = [folder for folder in (path, *path.parents) if not folder.exists()]
    try:
        path.mkdir(parents=True, exist_ok=True)
        refuse_link(path / ".lock")  # which some versions of filelock would empty
        lock = filelock.FileLock(path / ".lock", timeout=0)
        lock.acquire()
    except filelock.Timeout as error:
        raise RunError(f"{path} is in use by another process: wait for it, or choose another --out") from error
    except OSError as error:
        raise RunError(f"cannot write to {path}: {error.strerror or error}; choose another --out") from error
    try:
        yield
    except Exception:
        discard(made)
        raise
    finally:
        lock.release()


def discard(made: Sequence[Path]) -> None:
    """Remove new directories, the innermost first, as far as they hold nothing but beginnings."""
    if not made or any(file.name not in BEGINNINGS for file in made[0].rglob("*") if not file.is_dir()):
        return
    shutil.rmtree(made[0], ignore_errors=True)
    for folder in made[1:]:
        try:
            folder.rmdir()
        except OSError:  # something of another's is in it
            return
