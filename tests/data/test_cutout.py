"""Cutout against a loop over single images."""

import pytest
import torch

from rnas.data import Batches, LabelledImages
from rnas.data.augmentation import cut_out
from rnas.errors import ConfigError


@pytest.mark.parametrize("side", [1, 2, 3, 4, 20])
def test_a_square_is_blackened_around_a_random_centre(side: int) -> None:
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(1, 256, (200, 3, 5, 7), generator=generator, dtype=torch.uint8)
    before = images.clone()
    result = cut_out(images, side=side, generator=generator)
    assert torch.equal(images, before)
    centres = set()
    for original, cut in zip(images, result, strict=True):
        possible = []
        for row in range(5):
            for column in range(7):
                expected = original.clone()
                top, left = row - side // 2, column - side // 2
                expected[:, max(top, 0) : max(top + side, 0), max(left, 0) : max(left + side, 0)] = 0
                if torch.equal(cut, expected):
                    possible.append((row, column))
        assert possible
        centres |= set(possible)
    assert len(centres) == 35


def test_a_batch_is_cut_after_the_same_crop() -> None:
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(1, 256, (12, 1, 6, 6), generator=generator, dtype=torch.uint8)
    data = LabelledImages(images, torch.arange(12))
    plain, cut = (Batches(data, 6, seed=3, padding=1, flip=True, cutout=side) for side in (0, 2))
    for step in range(3):
        (first, labels), (second, same) = plain.at(step), cut.at(step)
        assert torch.equal(labels, same)
        changed = (first != second).any(dim=1)
        assert changed.any()
        assert not second.permute(0, 2, 3, 1)[changed].any()
        again, _ = cut.at(step)
        assert torch.equal(second, again)


def test_a_negative_side_is_refused() -> None:
    data = LabelledImages(torch.zeros(2, 1, 4, 4, dtype=torch.uint8), torch.arange(2))
    with pytest.raises(ConfigError, match="cutout: expected an integer >= 0, got -1"):
        Batches(data, 2, seed=0, cutout=-1)
