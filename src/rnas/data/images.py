"""Labelled images as tensors: the form in which everything after `load` sees a data set."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch

from rnas.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

__all__ = ["Decoded", "ImageDataset", "LabelledImages", "content_hash"]


# Tensors have no single truth value, so equality stays identity.
@dataclass(frozen=True, eq=False)
class LabelledImages:
    """Images and their labels, on one device.

    Args:
        images: uint8, shape (N, C, H, W), values 0 to 255.
        labels: int64, shape (N,), class indices from 0.

    Raises:
        DataError: if types or shapes are other than these.
    """

    images: Tensor
    labels: Tensor

    def __post_init__(self) -> None:
        """Check types and shapes."""
        if self.images.dtype != torch.uint8 or self.images.ndim != 4:
            raise DataError(
                f"expected images of type uint8 and shape (N, C, H, W), "
                f"got {self.images.dtype} and {tuple(self.images.shape)}"
            )
        if self.labels.dtype != torch.int64 or self.labels.shape != self.images.shape[:1]:
            raise DataError(
                f"expected int64 labels of shape ({len(self.images)},), "
                f"got {self.labels.dtype} and {tuple(self.labels.shape)}"
            )

    def __len__(self) -> int:
        return len(self.labels)

    def select(self, indices: Tensor | Sequence[int]) -> LabelledImages:
        """The images and labels at the given indices, in their order."""
        chosen = torch.as_tensor(indices, dtype=torch.int64, device=self.labels.device)
        return LabelledImages(self.images[chosen], self.labels[chosen])

    def to(self, device: torch.device | str) -> LabelledImages:
        """The same on another device."""
        return LabelledImages(self.images.to(device), self.labels.to(device))

    def floats(self) -> Tensor:
        """The images as models take them: float32 in [0, 1], shape (N, C, H, W)."""
        return self.images.float().div_(255)


@dataclass(frozen=True, eq=False)
class ImageDataset:
    """A data set in memory.

    Args:
        name: what to call it in tables: the name, the hub id or the folder's name.
        fingerprint: SHA-256 of classes, images and labels of both parts; equal exactly when the content is.
        class_names: the classes; a label is an index into them.
        train: the training images, after `limit`.
        test: the test images; no search or training may see them.
        flip: whether mirrored images still belong to their class (not so for digits).
    """

    name: str
    fingerprint: str
    class_names: tuple[str, ...]
    train: LabelledImages
    test: LabelledImages
    flip: bool

    @property
    def num_classes(self) -> int:
        """Number of classes, at least 2."""
        return len(self.class_names)

    @property
    def channels(self) -> int:
        """1 for grayscale images, 3 for colour."""
        return self.train.images.shape[1]

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self.train.images.shape[2], self.train.images.shape[3]

    def to(self, device: torch.device | str) -> ImageDataset:
        """The same on another device."""
        return replace(self, train=self.train.to(device), test=self.test.to(device))


@dataclass(frozen=True, eq=False)
class Decoded:
    """A whole data set as it was found, before any held-out part or limit.

    Args:
        class_names: the classes; each has a training image.
        train: training images.
        test: test images, or None if the data set has none.
    """

    class_names: tuple[str, ...]
    train: LabelledImages
    test: LabelledImages | None


def content_hash(class_names: Sequence[str], *parts: LabelledImages | None) -> str:
    """SHA-256 over classes, shapes, images and labels, in hexadecimal; tensors on any device."""
    digest = hashlib.sha256(repr(tuple(class_names)).encode())
    for part in parts:
        digest.update(repr(None if part is None else tuple(part.images.shape)).encode())
        for tensor in () if part is None else (part.images, part.labels):
            digest.update(tensor.cpu().contiguous().numpy().data)
    return digest.hexdigest()
