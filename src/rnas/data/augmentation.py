"""Random crops, flips and cutouts of a whole batch at once, where the batch is."""

from __future__ import annotations

import torch
from torch.nn import functional as F

__all__ = ["crop_and_flip", "cut_out"]


def crop_and_flip(images: torch.Tensor, *, padding: int, flip: bool, generator: torch.Generator) -> torch.Tensor:
    """Shift each image by a random offset, black filling the gap, and mirror it left to right with probability 1/2.

    Equal to padding with zeros and cropping back to size at a random place. One gather does all images; the random
    numbers are drawn on the generator's device, so that a CPU generator gives the same crops on every device.

    Args:
        images: uint8, shape (N, C, H, W).
        padding: greatest shift in pixels, in each direction, >= 0.
        flip: whether to mirror.
        generator: source of the randomness.

    Returns:
        uint8, shape (N, C, H, W), on the device of `images`; `images` itself if there is nothing to do.
    """
    if padding == 0 and not flip:
        return images
    count, _, height, width = images.shape
    device = images.device
    offsets = torch.randint(2 * padding + 1, (2, count, 1), generator=generator, device=generator.device).to(device)
    rows = offsets[0] + torch.arange(height, device=device)
    columns = torch.arange(width, device=device).expand(count, width)
    if flip:
        mirrored = torch.randint(2, (count, 1), generator=generator, device=generator.device).to(device)
        columns = torch.where(mirrored.bool(), columns.flip(1), columns)
    columns = offsets[1] + columns
    padded = F.pad(images, (padding,) * 4)
    which = torch.arange(count, device=device)[:, None, None]
    # Indexing around the channel axis puts it last: the result is (N, H, W, C) in memory, which is channels_last.
    return padded[which, :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


def cut_out(images: torch.Tensor, *, side: int, generator: torch.Generator) -> torch.Tensor:
    """Blacken a square of each image, its centre at a random pixel; what lies outside of the image is lost.

    Source: DeVries and Taylor 2017, "Improved Regularization of Convolutional Neural Networks with Cutout"
    (https://arxiv.org/abs/1708.04552), Section 3.2. Deviation: black, with which crops are padded too, where the
    authors take the data set's mean.

    Args:
        images: uint8, shape (N, C, H, W).
        side: of the square, in pixels, >= 0.
        generator: source of the randomness.

    Returns:
        uint8, shape (N, C, H, W); `images` itself where the side is 0.
    """
    if side == 0:
        return images
    count, _, *size = images.shape
    inside = []
    for length in size:
        centre = torch.randint(length, (count, 1), generator=generator, device=generator.device).to(images.device)
        offset = torch.arange(length, device=images.device) - centre + side // 2
        inside.append((offset >= 0) & (offset < side))
    rows, columns = inside
    return images.masked_fill(rows[:, None, :, None] & columns[:, None, None, :], 0)
