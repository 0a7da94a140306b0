"""Which images a run uses and how it augments them."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from rnas.config import MOST_PIXELS, require

__all__ = ["DataChoice", "DataConfig"]


@dataclass(frozen=True)
class DataConfig:
    """Which images, and how they are augmented.

    Args:
        source: digits, cifar10, cifar100, svhn, a hub id (owner/name or owner/name:configuration), a folder of parquet
            files, or a folder with one sub-folder of images for each class, below train/ and test/ or directly.
        limit: number of training images to keep, stratified over the classes; null keeps all. The test set stays whole.
        pixels: height and width to which larger images are reduced by averaging; images of mixed sizes are resized by
            their short side and cropped around the centre instead. null keeps them as they are.
        image_column: column of a parquet file that holds the images; null finds it.
        label_column: column of a parquet file that holds the labels; null finds it.
        crop_padding: pixels of black border before a random crop back to size, 0 for none; null takes an eighth of the
            height (4 at 32 pixels, 1 at 8).
        flip: whether to mirror training images left to right at random; null lets the data set decide (no for digits).

    Raises:
        ConfigError: if `source` is empty, `limit` or `pixels` is not positive or `crop_padding` is negative.
    """

    source: str = "digits"
    limit: int | None = None
    pixels: int | None = None
    image_column: str | None = None
    label_column: str | None = None
    crop_padding: int | None = None
    flip: bool | None = None

    def __post_init__(self) -> None:
        """Check the ranges."""
        require(bool(self.source), "source", "a name, a hub id or a path", self.source)
        require(self.limit is None or self.limit > 0, "limit", "an integer > 0, or null for all images", self.limit)
        require(
            self.pixels is None or self.pixels > 0,
            "pixels",
            "an integer > 0, or null",
            self.pixels,
            at_most=MOST_PIXELS,
        )
        require(
            self.crop_padding is None or self.crop_padding >= 0,
            "crop_padding",
            "an integer >= 0, or null for an eighth of the height",
            self.crop_padding,
            at_most=MOST_PIXELS,
        )

    def padding_for(self, height: int) -> int:
        """The crop padding in pixels for images of a height: `crop_padding`, or an eighth of the height."""
        return height // 8 if self.crop_padding is None else self.crop_padding

    def flip_for(self, natural: bool) -> bool:
        """Whether to flip: `flip`, or what is natural for the data set (`ImageDataset.flip`)."""
        return natural if self.flip is None else self.flip


@dataclass(frozen=True)
class DataChoice:
    """Which test images; null takes what the network of a run directory was trained on.

    `--data X` is short for `--data.source X`.

    Args:
        source: a data set, in any form that --data of `rnas train` takes.
        pixels: height and width to which larger images are reduced by averaging.
        image_column: column of a parquet file that holds the images.
        label_column: column of a parquet file that holds the labels.

    Raises:
        ConfigError: if `source` is empty or `pixels` is not positive.
    """

    source: str | None = None
    pixels: int | None = None
    image_column: str | None = None
    label_column: str | None = None

    def __post_init__(self) -> None:
        """Check the ranges."""
        require(self.source != "", "source", "a name, a hub id, a path or null", self.source)
        expected = "an integer > 0, or null"
        require(self.pixels is None or self.pixels > 0, "pixels", expected, self.pixels, at_most=MOST_PIXELS)

    def plain(self) -> Any:
        """As YAML and JSON write it: where it only names a source, that name or null."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return self.source if all(values[name] is None for name in values if name != "source") else values
