"""Files written whole or not at all, through no link, and read with errors of one line.

A folder may come from others, and a name in it may be a link to any file of the user's. So what is written is a new
file under a name that nobody can guess, which then takes the place of what was there, were it a link; what grows line
by line refuses one. A process killed in between leaves its new file; the next that writes into that folder removes it.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import secrets
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rnas.documents import check_fields, parse_object
from rnas.errors import RunError
from rnas.run.integrity import Seal, check_owner, verify

__all__ = [
    "LARGEST",
    "MEBIBYTE",
    "append",
    "cut_back",
    "make_folder",
    "manifest_in",
    "read_bytes",
    "read_object",
    "read_sealed",
    "read_summary",
    "refuse_link",
    "require_object",
    "require_regular",
    "sync",
    "write_atomically",
]

MANIFEST = "manifest.json"

MEBIBYTE = 2**20

#: Bytes of the weights of a network, or of the state of a search.
LARGEST = 64 * 1024 * MEBIBYTE

TEMPORARY = re.compile(r"\..+\.[0-9a-f]{16}\.partial", re.DOTALL)

#: What a name may stand for besides a file.
KINDS = {
    stat.S_ISDIR: "a folder",
    stat.S_ISFIFO: "a FIFO",
    stat.S_ISSOCK: "a socket",
    stat.S_ISCHR: "a device",
    stat.S_ISBLK: "a device",
}


def write_atomically(path: Path, content: bytes | str) -> None:
    """Replace a file's content so that a reader, or a run killed at any moment, sees the old or the new, never half.

    After a power failure, too: the content is on the disk before its name is, and the name before this returns.

    Args:
        path: the file; its folder exists. A link of that name is replaced, what it points to is not touched.
        content: bytes, or text to be written as UTF-8.

    Raises:
        RunError: if it cannot be written (no space, no permission); what was there before is still there.
    """
    try:
        remove_leftovers(path.parent)
        temporary, descriptor = _new_file(path)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(content.encode() if isinstance(content, str) else content)
                file.flush()
                os.fsync(file.fileno())
                temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        with contextlib.suppress(OSError):  # a file system that cannot, or a folder that may not be read
            sync(path.parent)
    except OSError as error:
        reason = error.strerror or str(error)
        raise RunError(f"cannot write {path}: {reason}; what was saved there before is intact") from error


def _new_file(path: Path) -> tuple[Path, int]:
    """A new file beside another, locked until it is closed so that nobody takes it for a killed process's."""
    while True:
        temporary = path.with_name(f".{path.name[:50]}.{secrets.token_hex(8)}.partial")
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
        with contextlib.suppress(OSError):  # a file system without locks
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        if os.fstat(descriptor).st_nlink:
            return temporary, descriptor
        os.close(descriptor)  # removed as a leftover before it was locked


def remove_leftovers(folder: Path) -> None:
    """Remove what killed processes had not written to the end. What is being written is locked, and stays."""
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if TEMPORARY.fullmatch(entry.name):
                with contextlib.suppress(OSError, RunError):
                    descriptor = _open_in_place(Path(entry.path), os.O_WRONLY)
                    try:
                        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                        Path(entry.path).unlink()
                    finally:
                        os.close(descriptor)


def append(path: Path, text: str) -> None:
    """Add to the end of a file, which is made if there is none.

    Raises:
        OSError: if it cannot be written.
        RunError: if it is a link or no regular file.
    """
    with os.fdopen(_open_in_place(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT), "ab") as file:
        file.write(text.encode())


def cut_back(path: Path, size: int) -> None:
    """Shorten a file to so many bytes; errors are those of `append`."""
    with os.fdopen(_open_in_place(path, os.O_WRONLY), "ab") as file:
        file.truncate(size)


def _open_in_place(path: Path, flags: int) -> int:
    """A descriptor of a file that is changed where it is."""
    refuse_link(path)
    return _open(path, flags | os.O_NOFOLLOW)


def _open(path: Path, flags: int) -> int:
    """A descriptor of a regular file; nothing waits for a FIFO's other end, and a device is told as one."""
    descriptor = os.open(path, flags | os.O_NONBLOCK | os.O_CLOEXEC, 0o666)
    try:
        _require_file(path, os.fstat(descriptor).st_mode)
    except RunError:
        os.close(descriptor)
        raise
    return descriptor


def sync(path: Path) -> None:
    """Wait until a file's content, or a folder's names, are on the disk.

    Raises:
        OSError: if they cannot be brought there.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def refuse_link(path: Path) -> None:
    """Make sure that what is to be written in a run is in that run.

    Raises:
        RunError: if the path, a file's or a folder's, is a link.
    """
    if path.is_symlink():
        raise RunError(
            f"{path} is a link, and what it points to may be no part of this run: refused; remove the link to have a "
            "new one written"
        )


def make_folder(folder: Path, *names: str) -> Path:
    """A folder within another, made if there is none.

    Args:
        folder: where; made too if there is none.
        names: of the folders within it, the outer one first.

    Raises:
        RunError: if one of the names is a link, or it cannot be made.
    """
    path = folder
    try:
        path.mkdir(parents=True, exist_ok=True)
        for name in names:
            path /= name
            refuse_link(path)
            path.mkdir(exist_ok=True)
    except OSError as error:
        raise RunError(f"cannot write to {path}: {error.strerror or error}; choose another --out") from error
    return path


def require_regular(path: Path) -> None:
    """Make sure that a reader which opens a file by its name does not wait for a FIFO or read a device.

    Raises:
        RunError: if there is something of that name which is no regular file.
    """
    with contextlib.suppress(OSError):
        _require_file(path, path.stat().st_mode)


def _require_file(path: Path, mode: int) -> None:
    if not stat.S_ISREG(mode):
        came = next((name for test, name in KINDS.items() if test(mode)), "something else")
        raise RunError(f"{path} is {came}, expected a file")


def read_bytes(path: Path, *, limit: int = 64 * MEBIBYTE) -> bytes:
    """The content of a file; arguments and errors are those of `read_sealed`."""
    return read_sealed(path, limit=limit)[0]


def read_sealed(path: Path, *, limit: int = 64 * MEBIBYTE) -> tuple[bytes, Seal | None]:
    """The content of a file, checked against its seal and the manifest beside it (`rnas.run.integrity`); and the seal.

    Args:
        path: the file; a link to one will do.
        limit: the largest size, in bytes.

    Raises:
        FileNotFoundError, NotADirectoryError: if there is no such file: the caller knows what that means.
        RunError: if it is too large, no regular file, cannot be read, is not what was written, or belongs to another
            run than the manifest.
    """
    # The manifest first: of a run that ends meanwhile it then says too little, and nothing wrong.
    manifest = None if path.name == MANIFEST else read_object(path.parent / MANIFEST, finite=False)
    try:
        with os.fdopen(_open(path, os.O_RDONLY), "rb") as file:
            # Python takes memory for as much as is asked for.
            content = file.read(min(limit, os.fstat(file.fileno()).st_size) + 1)
    except (FileNotFoundError, NotADirectoryError):
        raise
    except OSError as error:
        raise RunError(f"{path} cannot be read: {error.strerror or error}") from error
    if len(content) > limit:
        raise RunError(f"{path} is no file of this kind: expected at most {limit // MEBIBYTE} MiB")
    try:
        seal = verify(content)
    except ValueError as error:
        hint = "; if it was edited by hand, undo that" if path.suffix == ".json" else ""
        raise RunError(f"{path} is damaged: {error}{hint}") from error
    if manifest is not None:
        check_owner(path, content, seal, manifest)
    return content, seal


def read_object(path: Path, *, finite: bool = True) -> dict[str, Any] | None:
    """The object in a JSON file, or None if there is no such file.

    Args:
        path: the file.
        finite: whether to refuse NaN and Infinity, which settings may hold and results may not.

    Raises:
        RunError: if it is damaged.
    """
    try:
        content = read_bytes(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    return parse_object(content, str(path), finite=finite)


def manifest_in(folder: Path) -> dict[str, Any]:
    """The content of a folder's manifest.json, unchecked; empty if there is none. Raises RunError if it is damaged."""
    return read_object(folder / MANIFEST, finite=False) or {}


def require_object(path: Path, missing: str, fields: Mapping[str, tuple[type, ...]] | None = None) -> dict[str, Any]:
    """The object in a JSON file that has to be there.

    Args:
        path: the file.
        missing: the error where it is not.
        fields: what the caller reads of it, as `rnas.documents.check_fields` takes it.

    Raises:
        RunError: if it is missing or damaged.
    """
    document = read_object(path)
    if document is None:
        raise RunError(missing)
    check_fields(document, fields or {}, str(path))
    return document


def read_summary(folder: Path, fields: Mapping[str, tuple[type, ...]] | None = None) -> dict[str, Any]:
    """The content of a run directory's results.json; arguments and errors are those of `require_object`."""
    path = folder / "results.json"
    return require_object(path, f"no results at {path}", fields)
