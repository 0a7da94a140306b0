"""A source: a data set that was found, wherever that is, and what finding it takes."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rnas.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

__all__ = ["Source", "as_parts", "hashed", "hashed_files", "listed", "names_part", "one_line", "part_of"]

# What data sets call their parts. A validation part serves as the test set where there is no labelled other one, as in
# ImageNet and its descendants.
_PARTS = {
    "train": ("train", "training"),
    "test": ("test", "testing"),
    "validation": ("validation", "valid", "val", "dev"),
}

# A mirrored digit is another sign, or none.
_NOT_MIRRORED = ("digits", "svhn", "mnist")


@dataclass(frozen=True)
class Source:
    """A data set that was found but not read yet.

    Args:
        name: what to call it in tables.
        origin: the folder or hub id, as it should begin an error.
        fingerprint: changes when the files or the hub's revision do; in hexadecimal.
        open: finds the parts "train" and, where there are such, "test" and "validation", each as a function that gives
            its rows as a `datasets.Dataset`.
        folders: where the images have to be that a row only names, a relative name being one in the first of them; None
            where we have listed the images ourselves.
    """

    name: str
    origin: str
    fingerprint: str
    open: Callable[[], Mapping[str, Callable[[], Any]]]
    folders: tuple[Path, ...] | None = None

    @property
    def flip(self) -> bool:
        """Whether a mirrored image still belongs to its class, judged by the name."""
        return not self.name.lower().endswith(_NOT_MIRRORED)


def part_of(name: str) -> str | None:
    """Which part a file, folder or split is by its name: "train", "test", "validation" or None."""
    word = re.match(r"[a-z]*", name.lower())
    return next((part for part, names in _PARTS.items() if word and word.group() in names), None)


def names_part(name: str) -> bool:
    """Whether a name speaks of a part anywhere in it, as "imagenet_val" does; which one is for its owner to say."""
    return any(part_of(word) for word in re.findall(r"[a-z]+", name.lower()))


def as_parts(found: Mapping[str, Any], origin: str) -> dict[str, Any]:
    """The parts to use as "train" and "test", from everything that was found, and "validation" where both are there.

    Args:
        found: anything, by part ("train", "test", "validation").
        origin: the folder or hub id, for the error.

    Raises:
        DataError: if there is nothing to train on.
    """
    if "train" not in found:
        raise DataError(f"{origin}: expected a train split, found {', '.join(sorted(found)) or 'none'}")
    parts = {part: found[part] for part in _PARTS if part in found}
    if "test" not in parts and "validation" in parts:
        parts["test"] = parts.pop("validation")
    return parts


def hashed(*items: object) -> str:
    """SHA-256 of the items' representations, in hexadecimal."""
    return hashlib.sha256(repr(items).encode()).hexdigest()


def hashed_files(files: Iterable[Path]) -> str:
    """A hash of path, size and time of change of each file; it reads none of them."""
    described = []
    for file in files:
        state = file.stat()
        described.append((str(file.resolve()), state.st_size, state.st_mtime_ns))
    return hashed(*described)


def one_line(error: BaseException) -> str:
    """Type and message of another library's error, fit to end one of ours."""
    message = " ".join(str(error).split())
    return f"{type(error).__name__}: {message[:200]}" if message else type(error).__name__


def listed(names: Iterable[object], most: int = 5) -> str:
    """Names for a message, the first few of many."""
    quoted = [repr(str(name)[:60]) for name in names]
    return ", ".join(quoted[:most]) + (f" and {len(quoted) - most} more" if len(quoted) > most else "")
