"""Images of mixed sizes are resized by their short side and cropped around the centre, or refused with the setting."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from PIL import Image

from rnas.data import load
from rnas.data.pictures import fit
from rnas.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray


def noise(height: int, width: int, channels: int = 3) -> NDArray[np.uint8]:
    return np.random.default_rng(height).integers(0, 256, (height, width, channels), dtype=np.uint8)


def encoded(pixels: NDArray[np.uint8]) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG")
    return buffer.getvalue()


@pytest.mark.parametrize(("height", "width"), [(8, 8), (8, 16), (24, 8), (16, 12)])
@pytest.mark.parametrize("channels", [1, 3])
def test_the_middle_is_averaged_in_blocks(height: int, width: int, channels: int) -> None:
    pixels = noise(height, width, channels)
    short = min(height, width)
    top, left = (height - short) // 2, (width - short) // 2
    middle = pixels[top : top + short, left : left + short].astype(float)
    block = short // 4
    means = middle.reshape(4, block, 4, block, channels).mean(axis=(1, 3))
    result = fit(pixels, 4)
    assert result.shape == (4, 4, channels)
    assert np.abs(result - means).max() <= 1, "rounded once for each axis"


def test_an_image_of_that_size_stays_and_a_smaller_one_grows() -> None:
    assert np.array_equal(fit(noise(8, 8), 8), noise(8, 8))
    grown = fit(np.full((2, 3, 3), 7, dtype=np.uint8), 8)
    assert grown.shape == (8, 8, 3)
    assert (grown == 7).all()


def test_mixed_sizes_are_brought_to_one(write_part: Callable[..., Path]) -> None:
    images = [noise(8, 8), noise(8, 8), noise(8, 12), noise(4, 4), noise(8, 8), noise(16, 8)]
    write_part("train", [0, 1] * 3, [encoded(image) for image in images])
    folder = write_part("test", [0, 1], [encoded(noise(8, 8))] * 2)
    message = "train image 2 is 12x8 pixels, the first is 8x8 pixels; --data[.]pixels N resizes and crops all to N x N"
    with pytest.raises(DataError, match=message):
        load(str(folder))
    for _ in range(2):  # from the files, then from the cache
        data = load(str(folder), pixels=4)
        assert data.size == (4, 4)
        expected = torch.from_numpy(np.stack([fit(image, 4) for image in images])).permute(0, 3, 1, 2)
        assert torch.equal(data.train.images, expected)
        assert torch.equal(data.test.images[0], torch.from_numpy(fit(noise(8, 8), 4).copy()).permute(2, 0, 1))
    # Another size is not the first one from the cache.
    assert load(str(folder), pixels=6).size == (6, 6)
    with pytest.raises(DataError, match="pixels N resizes"):
        load(str(folder))


def test_parts_of_two_sizes_are_brought_to_one(write_part: Callable[..., Path]) -> None:
    write_part("train", [0, 1], [encoded(noise(8, 8))] * 2)
    folder = write_part("test", [0, 1], [encoded(noise(6, 8))] * 2)
    with pytest.raises(DataError, match=r"test images are 8x6 pixels, train's 8x8 pixels; --data\.pixels N"):
        load(str(folder))
    data = load(str(folder), pixels=6)
    assert torch.equal(data.test.images[0], torch.from_numpy(noise(6, 8)[:, 1:7].copy()).permute(2, 0, 1))


def test_gray_and_colour_may_be_mixed_too(write_part: Callable[..., Path]) -> None:
    images = [encoded(noise(8, 8, 1)[:, :, 0]), encoded(noise(8, 12, 1)[:, :, 0]), encoded(noise(6, 6))]
    folder = write_part("train", [0, 1] * 3, images * 2)
    data = load(str(folder), pixels=4)
    assert (data.channels, data.size) == (3, (4, 4))


def test_one_size_is_reduced_as_before(write_part: Callable[..., Path]) -> None:
    """Whole images, not their middle: results of earlier runs stay what they were."""
    folder = write_part("train", [0, 1] * 3, [encoded(noise(8, 16))] * 6)
    data = load(str(folder), pixels=4)
    means = noise(8, 16).reshape(4, 2, 4, 4, 3).mean(axis=(1, 3))
    assert torch.equal(data.train.images[0], torch.from_numpy(means).permute(2, 0, 1).float().round().to(torch.uint8))
