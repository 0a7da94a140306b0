"""From the rows of a data set to uint8 tensors, checked once here so that nothing later needs to."""

from __future__ import annotations

import contextlib
import logging
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import datasets
import numpy as np
import torch
from PIL import Image

from rnas.data.columns import find_columns
from rnas.data.images import Decoded, LabelledImages
from rnas.data.labels import Labels, class_names, indices, read_labels
from rnas.data.pictures import fit, read_picture, size
from rnas.data.progress import track
from rnas.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from rnas.data.sources import Source

__all__ = ["decode"]

ONE_SIZE = "--data.pixels N resizes and crops all to N x N"


@dataclass(frozen=True)
class LabelledPart:
    """The rows of a part and what was read of them."""

    rows: Any
    images: str
    labels: Labels


def decode(
    source: Source, image_column: str | None, label_column: str | None, pixels: int | None = None
) -> tuple[Decoded, bool]:
    """Read and check all images of a source.

    Args:
        source: what to read.
        image_column: the column of images, or None to find it.
        label_column: the column of labels, or None to find it.
        pixels: height and width that images get where they are not all of one size.

    Returns:
        The data set, and whether its images had more than one size and so were made ``pixels`` high and wide.

    Raises:
        DataError: if a file or an image is damaged, a column is missing, sizes differ and `pixels` is None, a label is
            out of range or unknown to train, a class has no training image, or there are fewer than two classes.
    """
    parts = _open(source, image_column, label_column)
    classes = class_names(parts["train"].labels, source.origin)
    labels = {part: indices(read.labels, classes, part, source.origin) for part, read in parts.items()}
    images = {part: _images(read, part, source, pixels) for part, read in parts.items()}
    channels = max(stack.shape[3] for stack, _ in images.values())
    sizes = {part: stack.shape[1:3] for part, (stack, _) in images.items()}
    mixed = len(set(sizes.values())) > 1 or any(resized for _, resized in images.values())
    if mixed and pixels is None:
        ours, train = size(sizes["test"]), size(sizes["train"])
        raise DataError(f"{source.origin}: test images are {ours}, train's {train}; {ONE_SIZE}")
    decoded = {}
    for part, (stack, resized) in images.items():
        if mixed and not resized and pixels is not None:
            stack = np.stack([fit(image, pixels) for image in stack])
        # One grayscale part beside one in colour becomes colour.
        whole = np.broadcast_to(stack, (*stack.shape[:3], channels)).transpose(0, 3, 1, 2)
        decoded[part] = LabelledImages(torch.from_numpy(whole.copy()), torch.from_numpy(labels[part]))
    return Decoded(classes, decoded["train"], decoded.get("test")), mixed


def _open(source: Source, image_column: str | None, label_column: str | None) -> dict[str, LabelledPart]:
    """Rows, columns and labels of "train" and "test"; validation stands in for a test part without labels."""
    found = source.open()

    def read(part: str) -> LabelledPart:
        where, rows = f"{source.origin}, {part}", found[part]()
        images, labels = find_columns(rows.features, image_column, label_column, where)
        return LabelledPart(rows, images, read_labels(rows, labels, where))

    parts = {part: read(part) for part in ("train", "test") if part in found}
    if "test" in parts and parts["test"].labels.absent:
        if "validation" not in found:
            raise DataError(
                f"{source.origin}: no test image has a label (all are -1 or empty): give a labelled test part, or take "
                "this one away, and a fifth of the training images is held out"
            )
        parts["test"] = read("validation")
    return parts


def _images(read: LabelledPart, part: str, source: Source, side: int | None) -> tuple[NDArray[np.uint8], bool]:
    """All images of a part, shape (N, H, W, C), C = 3 if any of them has colour and else 1.

    Those of several sizes are made `side` high and wide; returns whether they were.
    """
    stored = read.rows.select_columns([read.images]).cast_column(read.images, datasets.Image(decode=False))
    stack: NDArray[np.uint8] | None = None
    mixed = False
    with quiet():
        for index, row in enumerate(track(stored, len(read.rows), f"decoding {part} images")):
            where = f"{source.origin}: {part} image {index}"
            value = row[read.images]
            if value and value["bytes"] is None:
                where += f" ({str(value['path'])[:200]})"
            image = read_picture(value, where, source.folders)
            if stack is None:
                stack = _empty(len(read.rows), image.shape, f"{source.origin}: {part}")
            if image.shape[:2] != stack.shape[1:3] and not mixed:
                if side is None:
                    raise DataError(f"{where} is {size(image.shape)}, the first is {size(stack.shape[1:])}; {ONE_SIZE}")
                mixed, before = True, stack[:index]
                stack = _empty(len(read.rows), (side, side, before.shape[3]), f"{source.origin}: {part}")
                for earlier, pixels in enumerate(before):
                    stack[earlier] = fit(pixels, side)
            if image.shape[2] > stack.shape[3]:
                stack = np.repeat(stack, 3, axis=3)
            stack[index] = fit(image, side) if mixed and side is not None else image
    assert stack is not None, "an empty part was refused with its labels"
    return stack, mixed


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep what Pillow says of images that are refused a moment later from the terminal."""
    log = logging.getLogger("PIL")
    level = log.level
    log.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            yield
    finally:
        log.setLevel(level)


def _empty(count: int, shape: tuple[int, ...], where: str) -> NDArray[np.uint8]:
    try:
        return np.empty((count, *shape), dtype=np.uint8)
    except (MemoryError, ValueError) as error:
        raise DataError(
            f"{where}: {count} images of {size(shape)} do not fit into memory; reduce them before"
        ) from error
