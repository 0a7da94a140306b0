"""Decoded data sets kept on disk, so that each is decoded once."""

from __future__ import annotations

import json
import logging
import os
import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from rnas.data.images import Decoded, LabelledImages, content_hash
from rnas.data.sources import hashed, one_line
from rnas.errors import DataError

if TYPE_CHECKING:
    from rnas.data.sources import Source

__all__ = ["cache_file", "read", "write"]

# Part of each file's name; a change of what decoding gives needs a new one.
VERSION = 2

_log = logging.getLogger(__name__)


def cache_file(source: Source, image_column: str | None, label_column: str | None, pixels: int | None = None) -> Path:
    """Where a decoded data set is kept: under ``$RNAS_CACHE``, or else ``~/.cache/rnas``.

    Args:
        source: what was decoded.
        image_column: as it was asked for.
        label_column: as it was asked for.
        pixels: to what size the images were brought while they were decoded; None for their own.
    """
    root = Path(os.environ.get("RNAS_CACHE") or Path.home() / ".cache" / "rnas")
    name = re.sub(r"[^\w.-]+", "-", source.name)
    key = hashed(VERSION, source.fingerprint, image_column, label_column, *([] if pixels is None else [pixels]))[:20]
    return root / "data" / f"{name}-{key}.safetensors"


def read(file: Path) -> Decoded | None:
    """A data set from its file, or None if there is no file or it is damaged (checked by a hash of the content)."""
    try:
        with safe_open(file, framework="pt") as stored:
            metadata = stored.metadata()
            tensors = {key: stored.get_tensor(key) for key in stored.keys()}  # noqa: SIM118 (not a mapping)
        class_names = tuple(json.loads(metadata["class_names"]))
        train = LabelledImages(tensors["train_images"], tensors["train_labels"])
        test = LabelledImages(tensors["test_images"], tensors["test_labels"]) if "test_images" in tensors else None
        sound = content_hash(class_names, train, test) == metadata["content"]
        # A file of another data set is as good as a damaged one; older versions did not write the name.
        sound &= metadata.get("name", file.name) == file.name
    except FileNotFoundError:
        return None
    except (OSError, SafetensorError, KeyError, TypeError, ValueError, DataError) as error:
        _log.info("%s: damaged, decoding again (%s)", file, one_line(error))
        return None
    return Decoded(class_names, train, test) if sound else None


def write(file: Path, decoded: Decoded) -> None:
    """Keep a data set; the file appears whole or not at all. A folder that cannot be written costs one warning."""
    tensors = {"train_images": decoded.train.images, "train_labels": decoded.train.labels}
    if decoded.test is not None:
        tensors |= {"test_images": decoded.test.images, "test_labels": decoded.test.labels}
    metadata = {
        "class_names": json.dumps(decoded.class_names),
        "content": content_hash(decoded.class_names, decoded.train, decoded.test),
        "name": file.name,
    }
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        # In the same file system, so that the last step is a rename.
        with tempfile.TemporaryDirectory(dir=file.parent, prefix=".writing-") as folder:
            whole = Path(folder) / file.name
            save_file(tensors, whole, metadata)
            whole.replace(file)
    except (OSError, SafetensorError) as error:
        _log.warning("the decoded images are not kept for next time: %s (%s)", file.parent, one_line(error))
