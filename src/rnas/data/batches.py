"""Batches by number: what step k sees depends on the seed and on k only, so a resumed run needs no iterator state."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import torch

from rnas.config import require
from rnas.data.augmentation import crop_and_flip, cut_out
from rnas.errors import DataError
from rnas.seeding import derive

if TYPE_CHECKING:
    from torch import Tensor

    from rnas.data.images import LabelledImages

__all__ = ["Batches", "in_batches"]


def in_batches(total: int, batch_size: int) -> Iterator[tuple[slice, float]]:
    """Go through images in their order: the mean over all is the sum of the batches' means, each times its share.

    Args:
        total: number of images.
        batch_size: images a batch, > 0; the last one may have fewer.

    Yields:
        The rows of each batch, and its share of all images.
    """
    for start in range(0, total, batch_size):
        end = min(start + batch_size, total)
        yield slice(start, end), (end - start) / total


class Batches:
    """An endless sequence of shuffled, augmented batches.

    Each epoch is a permutation of its own; its last partial batch is dropped, unless it is the only one.

    Args:
        data: the images, already on the device that is to see the batches.
        batch_size: images a batch, > 0.
        seed: decides order and augmentation.
        padding: greatest random shift in pixels, >= 0.
        flip: whether to mirror at random.
        cutout: side of the square that is blackened at random, in pixels, >= 0.

    Raises:
        ConfigError: if `batch_size`, `padding` or `cutout` is out of range.
        DataError: if there are no images.
    """

    def __init__(
        self,
        data: LabelledImages,
        batch_size: int,
        *,
        seed: int,
        padding: int = 0,
        flip: bool = False,
        cutout: int = 0,
    ) -> None:
        require(batch_size > 0, "batch_size", "an integer > 0", batch_size)
        require(padding >= 0, "padding", "an integer >= 0", padding)
        require(cutout >= 0, "cutout", "an integer >= 0", cutout)
        if len(data) == 0:
            raise DataError("expected at least one image to make batches of, got none")
        self.data = data
        self.batch_size = min(batch_size, len(data))
        self.seed = seed
        self.padding = padding
        self.flip = flip
        self.cutout = cutout
        # Only a shortcut for consecutive steps: a permutation is a function of its epoch.
        self._last: tuple[int, Tensor] | None = None

    def __len__(self) -> int:
        """Batches an epoch, at least 1."""
        return len(self.data) // self.batch_size

    def at(self, step: int) -> tuple[Tensor, Tensor]:
        """The batch of one step.

        Args:
            step: counted from 0 over all epochs; the epoch is ``step // len(self)``.

        Returns:
            Images, float32 in [0, 1], shape (B, C, H, W), and labels, int64, shape (B,), on the data's device.

        Raises:
            ValueError: if `step` is negative.
        """
        if step < 0:
            raise ValueError(f"expected a step >= 0, got {step}")
        epoch, position = divmod(step, len(self))
        start = position * self.batch_size
        batch = self.data.select(self._permutation(epoch)[start : start + self.batch_size])
        generator = torch.Generator().manual_seed(derive(self.seed, "augmentation", step))
        images = crop_and_flip(batch.images, padding=self.padding, flip=self.flip, generator=generator)
        images = cut_out(images, side=self.cutout, generator=generator)
        return images.float().div_(255), batch.labels

    def _permutation(self, epoch: int) -> Tensor:
        if self._last is None or self._last[0] != epoch:
            generator = torch.Generator().manual_seed(derive(self.seed, "order", epoch))
            order = torch.randperm(len(self.data), generator=generator).to(self.data.labels.device)
            self._last = (epoch, order)
        return self._last[1]
