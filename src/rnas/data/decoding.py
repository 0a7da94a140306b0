"""From the rows of a data set to uint8 tensors, checked once here so that nothing later needs to."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import datasets
import numpy as np
import torch

from rnas.data.columns import find_columns
from rnas.data.images import Decoded, LabelledImages
from rnas.data.progress import track
from rnas.data.sources import one_line
from rnas.errors import DataError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rnas.data.sources import Source

__all__ = ["decode"]

GRAY = {"1", "L", "LA"}
COLOUR = {"RGB", "RGBA", "RGBX", "P", "PA", "CMYK", "YCbCr", "HSV", "LAB"}


def decode(source: Source, image_column: str | None, label_column: str | None) -> Decoded:
    """Read and check all images of a source.

    Args:
        source: what to read.
        image_column: the column of images, or None to find it.
        label_column: the column of labels, or None to find it.

    Raises:
        DataError: if a file or an image is damaged, a column is missing, sizes differ, a label is out of range, a class
            has no training image, or there are fewer than two classes.
    """
    parts = source.open()
    columns = {
        part: find_columns(rows.features, image_column, label_column, f"{source.origin}, {part}")
        for part, rows in parts.items()
    }
    labels = {part: _labels(rows, columns[part][1], f"{source.origin}, {part}") for part, rows in parts.items()}
    class_names = _class_names(parts["train"].features[columns["train"][1]], labels["train"], source.origin)
    for part, values in labels.items():
        outside = np.flatnonzero((values < 0) | (values >= len(class_names)))
        if outside.size:
            raise DataError(
                f"{source.origin}: {part} image {outside[0]} has the label {values[outside[0]]}, "
                f"expected 0 to {len(class_names) - 1}"
            )
    images = {part: _images(rows, columns[part][0], part, source.origin) for part, rows in parts.items()}
    channels = max(pixels.shape[3] for pixels in images.values())
    first = images["train"].shape[1:3]
    decoded = {}
    for part, pixels in images.items():
        if pixels.shape[1:3] != first:
            raise DataError(f"{source.origin}: {part} images are {_size(pixels.shape[1:3])}, train's {_size(first)}")
        # One grayscale part beside one in colour becomes colour.
        whole = np.broadcast_to(pixels, (*pixels.shape[:3], channels)).transpose(0, 3, 1, 2)
        decoded[part] = LabelledImages(torch.from_numpy(whole.copy()), torch.from_numpy(labels[part]))
    return Decoded(class_names, decoded["train"], decoded.get("test"))


def _labels(rows: Any, column: str, where: str) -> NDArray[np.int64]:
    if len(rows) == 0:
        raise DataError(f"{where}: expected at least one image, got none")
    values = rows.select_columns([column])[:][column]
    if None in values:
        raise DataError(f"{where}: image {values.index(None)} has no label")
    return np.array(values, dtype=np.int64)


def _class_names(feature: Any, labels: NDArray[np.int64], origin: str) -> tuple[str, ...]:
    """Name the classes, and check that each has a training image."""
    present = set(np.unique(labels[labels >= 0]).tolist())
    if isinstance(feature, datasets.ClassLabel):
        names = tuple(str(name) for name in feature.names)
    else:
        # The smallest number that is missing comes first, so that a column of huge numbers makes no huge list.
        count = next(number for number in range(len(present) + 1) if number not in present)
        if count != len(present):
            raise DataError(f"{origin}: class '{count}' has no training image, though labels reach {max(present)}")
        names = tuple(str(number) for number in range(count))
    empty = [name for number, name in enumerate(names) if number not in present]
    if empty:
        raise DataError(f"{origin}: expected training images of each class, got none of {', '.join(map(repr, empty))}")
    if len(names) < 2:
        raise DataError(f"{origin}: expected at least 2 classes, got {len(names)} ({', '.join(names) or 'none'})")
    return names


def _images(rows: Any, column: str, part: str, origin: str) -> NDArray[np.uint8]:
    """All images of a part, shape (N, H, W, C), C = 3 if any of them has colour and else 1."""
    stored = rows.select_columns([column]).cast_column(column, datasets.Image(decode=False))
    pixels: NDArray[np.uint8] | None = None
    for index, row in enumerate(track(stored, len(rows), f"decoding {part} images")):
        where = f"{origin}: {part} image {index}"
        if row[column] and row[column]["bytes"] is None:
            where += f" ({row[column]['path']})"
        image = _decode_one(row[column], where)
        if pixels is None:
            pixels = np.empty((len(rows), *image.shape), dtype=np.uint8)
        if image.shape[:2] != pixels.shape[1:3]:
            raise DataError(
                f"{where} is {_size(image.shape)}, the first is {_size(pixels.shape[1:])}; resize them to one size"
            )
        if image.shape[2] > pixels.shape[3]:
            pixels = np.repeat(pixels, 3, axis=3)
        pixels[index] = image
    assert pixels is not None, "an empty part was refused with its labels"
    return pixels


def _decode_one(value: dict[str, Any] | None, where: str) -> NDArray[np.uint8]:
    """One image, shape (H, W, 1) if it is gray and (H, W, 3) if not."""
    # `datasets` would fetch a path that is an address; a data file shall not make us open connections.
    if value is None or (value["bytes"] is None and not (value["path"] and Path(value["path"]).is_file())):
        raise DataError(f"{where} is missing (neither bytes nor a file)")
    try:
        image = datasets.Image().decode_example(value)
    except Exception as error:  # A damaged file makes the decoders raise nearly anything.
        raise DataError(f"{where} cannot be decoded ({one_line(error)})") from error
    if image.mode not in GRAY | COLOUR:
        raise DataError(f"{where} has pixels of mode {image.mode}, expected 8 bits a channel")
    if image.mode in ("P", "PA"):
        # Straight to RGB, Pillow warns about palettes with transparency.
        image = image.convert("RGBA")
    pixels = np.asarray(image.convert("L" if image.mode in GRAY else "RGB"))
    return pixels.reshape(*pixels.shape[:2], -1)


def _size(shape: tuple[int, ...]) -> str:
    return f"{shape[1]}x{shape[0]} pixels"
