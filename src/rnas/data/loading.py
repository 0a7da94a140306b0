"""One name or path gives a data set."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.nn import functional as F

from rnas.config import require
from rnas.data import cache
from rnas.data.finding import find, warn_of_folder
from rnas.data.images import Decoded, ImageDataset, LabelledImages, content_hash
from rnas.data.splits import held_out, stratified_subset
from rnas.errors import DataError

if TYPE_CHECKING:
    from rnas.data.sources import Source

__all__ = ["load"]


def load(
    source: str,
    *,
    limit: int | None = None,
    pixels: int | None = None,
    image_column: str | None = None,
    label_column: str | None = None,
    seed: int = 0,
) -> ImageDataset:
    """Load a data set into memory, decoded, checked and, after the first time, from the cache.

    Args:
        source: ``digits`` (embedded), ``cifar10``, ``cifar100``, ``svhn``, a hub id (``owner/name`` or
            ``owner/name:configuration``), a folder of parquet files, or a folder with one sub-folder of images for each
            class, below ``train`` and ``test`` or directly. Data without a test part lose a stratified fifth to one,
            the same fifth whatever the seed.
        limit: number of training images to keep, stratified, at least one of each class; None keeps all.
        pixels: height and width to which larger images are reduced by averaging; images of mixed sizes are resized by
            their short side and cropped around the centre instead. None keeps them as they are.
        image_column: the column of images; None finds it.
        label_column: the column of labels; None finds it.
        seed: decides which training images `limit` keeps.

    Returns:
        The data set, on the CPU.

    Raises:
        ConfigError: if `limit` is not positive.
        UnknownNameError: if `source` is no known name, no path and no hub id.
        DataError: if the data cannot be read or used; one line says what and where.
    """
    require(limit is None or limit > 0, "limit", "an integer > 0, or null for all images", limit)
    if source == "digits":
        if image_column is not None or label_column is not None:
            raise DataError(f"digits has no columns to choose, got {image_column or label_column!r}")
        warn_of_folder(source)
        name, flip, decoded = source, False, _digits()
    else:
        found = find(source)
        name, flip, decoded = found.name, found.flip, _decoded(found, image_column, label_column, pixels)
    train, test = decoded.train, decoded.test
    if test is None:
        few = [name for name, size in zip(decoded.class_names, train.labels.bincount(), strict=True) if size < 2]
        if few:
            raise DataError(
                f"{source}: there is no test part, and to hold one out takes 2 images of each class, "
                f"but there is only 1 of {', '.join(map(repr, few))}"
            )
        kept, chosen = held_out(train.labels, len(decoded.class_names))
        train, test = train.select(kept), train.select(chosen)
    if limit is not None and limit < len(train):
        if limit < len(decoded.class_names):
            raise DataError(
                f"{source}: a limit of {limit} leaves classes without an image, "
                f"the {len(decoded.class_names)} classes need at least as many"
            )
        train = train.select(stratified_subset(train.labels, limit, seed))
    if pixels is not None:
        train, test = _reduced(source, train, pixels), _reduced(source, test, pixels)
    fingerprint = content_hash(decoded.class_names, train, test)
    return ImageDataset(name, fingerprint, decoded.class_names, train, test, flip)


def _reduced(source: str, images: LabelledImages, pixels: int) -> LabelledImages:
    if pixels > min(images.images.shape[2:]):
        height, width = images.images.shape[2:]
        raise DataError(f"{source}: pixels: expected at most the images' {height} x {width}, got {pixels}")
    parts = [F.interpolate(part.float(), size=(pixels, pixels), mode="area") for part in images.images.split(1024)]
    return LabelledImages(torch.cat(parts).round().to(torch.uint8), images.labels)


def _decoded(source: Source, image_column: str | None, label_column: str | None, pixels: int | None) -> Decoded:
    whole = cache.cache_file(source, image_column, label_column)
    resized = cache.cache_file(source, image_column, label_column, pixels)
    for file in dict.fromkeys((whole, resized)):
        if (decoded := cache.read(file)) is not None:
            return decoded
    # Here, because `datasets` takes longer to import than a kept data set to read.
    from rnas.data.decoding import decode

    decoded, mixed = decode(source, image_column, label_column, pixels)
    cache.write(resized if mixed else whole, decoded)
    return decoded


def _digits() -> Decoded:
    """scikit-learn's digits: 1,797 images of 8x8 pixels (UCI, Optical Recognition of Handwritten Digits).

    Its file is read as `sklearn.datasets.load_digits` reads it, whose import takes as long as torch's.
    """
    package = find_spec("sklearn")
    if package is None or package.origin is None:
        raise DataError("digits: the package scikit-learn, which holds them, is not installed")
    file = Path(package.origin).parent / "datasets" / "data" / "digits.csv.gz"
    try:
        rows = torch.from_numpy(np.loadtxt(file, delimiter=","))
    except (OSError, ValueError) as error:
        raise DataError(f"digits: {file} cannot be read: {error}") from error
    # The values count black pixels in 4x4 blocks: 0 to 16.
    scaled = (rows[:, :64].reshape(-1, 1, 8, 8) * (255 / 16)).round().to(torch.uint8)
    names = tuple(map(str, range(10)))
    return Decoded(names, LabelledImages(scaled, rows[:, 64].to(torch.int64)), None)
