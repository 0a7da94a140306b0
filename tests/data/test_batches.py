"""Splits, augmentation and batches: invariants, and agreement with a loop over single images."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from rnas.data import Batches, LabelledImages, crop_and_flip, halves, stratified_subset
from rnas.data.batches import in_batches
from rnas.data.splits import held_out
from rnas.errors import ConfigError, DataError

LABELS = st.lists(st.integers(0, 5), min_size=1, max_size=60).map(torch.tensor)


def some_images(count: int, *, channels: int = 3, height: int = 5, width: int = 7) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(1, 256, (count, channels, height, width), generator=generator, dtype=torch.uint8)


@given(st.lists(st.floats(-1, 1), min_size=1, max_size=50), st.integers(1, 60))
def test_a_mean_is_the_sum_of_its_batches_shares(values: list[float], batch_size: int) -> None:
    batches = list(in_batches(len(values), batch_size))
    assert [value for rows, _ in batches for value in values[rows]] == values
    assert all(1 <= rows.stop - rows.start <= batch_size for rows, _ in batches)
    mean = sum(share * sum(values[rows]) / len(values[rows]) for rows, share in batches)
    assert mean == pytest.approx(sum(values) / len(values))


@given(LABELS, st.integers(1, 70), st.integers(0, 3))
def test_subset_is_stratified_and_nested(labels: torch.Tensor, count: int, seed: int) -> None:
    chosen = stratified_subset(labels, count, seed)
    assert len(chosen) == min(count, len(labels))
    assert (chosen.diff() > 0).all()
    assert set(chosen.tolist()) <= set(stratified_subset(labels, count + 1, seed).tolist())
    if count >= len(labels.unique()):
        assert torch.equal(labels[chosen].unique(), labels.unique())


def test_subset_keeps_shares_and_follows_the_seed() -> None:
    labels = torch.tensor([0] * 600 + [1] * 300 + [2] * 100)
    for count in (10, 100, 500):
        expected = torch.tensor([0.6, 0.3, 0.1]) * count
        assert (labels[stratified_subset(labels, count, 0)].bincount() - expected).abs().max() <= 1
    assert torch.equal(stratified_subset(labels, 50, 0), stratified_subset(labels, 50, 0))
    assert not torch.equal(stratified_subset(labels, 50, 0), stratified_subset(labels, 50, 1))
    with pytest.raises(ConfigError, match="count"):
        stratified_subset(labels, 0, 0)


@given(LABELS, st.integers(0, 3))
def test_halves_are_disjoint_and_everything(labels: torch.Tensor, seed: int) -> None:
    theta, alpha = halves(labels, seed)
    assert sorted([*theta.tolist(), *alpha.tolist()]) == list(range(len(labels)))
    assert 0 <= len(theta) - len(alpha) <= 1
    assert (theta.diff() > 0).all()


def test_halves_share_every_class() -> None:
    labels = torch.arange(10).repeat_interleave(torch.arange(2, 22, 2))
    theta, alpha = halves(labels, 0)
    assert torch.equal(labels[theta].bincount(), labels[alpha].bincount())


@given(st.lists(st.integers(2, 20), min_size=2, max_size=8))
def test_held_out_leaves_each_class_on_both_sides(sizes: list[int]) -> None:
    labels = torch.arange(len(sizes)).repeat_interleave(torch.tensor(sizes))
    train, test = held_out(labels, len(sizes))
    assert sorted([*train.tolist(), *test.tolist()]) == list(range(len(labels)))
    assert (labels[train].bincount(minlength=len(sizes)) > 0).all()
    assert (labels[test].bincount(minlength=len(sizes)) > 0).all()


def naive_candidates(image: torch.Tensor, padding: int, flip: bool) -> list[torch.Tensor]:
    """All that cropping and flipping one image can give, by shifting it over a black canvas pixel by pixel."""
    channels, height, width = image.shape
    results = []
    for mirrored in (image, image.flip(2))[: 1 + flip]:
        for down in range(-padding, padding + 1):
            for right in range(-padding, padding + 1):
                result = torch.zeros(channels, height, width, dtype=torch.uint8)
                for y in range(height):
                    for x in range(width):
                        if 0 <= y + down < height and 0 <= x + right < width:
                            # The crop is taken first and mirrored then; all shifts occur, so the set is the same.
                            result[:, y, x] = mirrored[:, y + down, x + right]
                results.append(result)
    return results


@pytest.mark.parametrize(("padding", "flip"), [(0, True), (1, False), (2, True)])
def test_crop_and_flip_is_a_shift_of_each_image(padding: int, flip: bool) -> None:
    image = some_images(1, height=4, width=5)
    candidates = torch.stack(naive_candidates(image[0], padding, flip))
    generator = torch.Generator().manual_seed(1)
    results = crop_and_flip(image.expand(2000, -1, -1, -1), padding=padding, flip=flip, generator=generator)
    assert results.dtype == torch.uint8
    assert results.shape == (2000, *image.shape[1:])
    equal = (results[:, None] == candidates).flatten(2).all(2)
    assert (equal.sum(1) == 1).all(), "each result is exactly one of the shifts"
    # Each of them occurs, about equally often: five standard deviations of a binomial.
    share = 1 / len(candidates)
    deviation = (2000 * share * (1 - share)) ** 0.5
    assert ((equal.sum(0) - 2000 * share).abs() < 5 * deviation).all()


def test_crop_and_flip_agrees_with_a_loop() -> None:
    images = some_images(40)
    padding = 2
    results = crop_and_flip(images, padding=padding, flip=True, generator=torch.Generator().manual_seed(3))
    # The same numbers in the same order, image by image.
    generator = torch.Generator().manual_seed(3)
    rows, columns = torch.randint(2 * padding + 1, (2, 40, 1), generator=generator)
    mirrored = torch.randint(2, (40, 1), generator=generator)
    for image, result, row, column, mirror in zip(images, results, rows, columns, mirrored, strict=True):
        padded = torch.zeros(3, 5 + 2 * padding, 7 + 2 * padding, dtype=torch.uint8)
        padded[:, padding:-padding, padding:-padding] = image
        crop = padded[:, int(row) : int(row) + 5, int(column) : int(column) + 7]
        assert torch.equal(result, crop.flip(2) if mirror else crop)


def test_nothing_to_do_is_the_identity() -> None:
    images = some_images(4)
    assert torch.equal(crop_and_flip(images, padding=0, flip=False, generator=torch.Generator()), images)


def numbered(count: int) -> LabelledImages:
    """Images that are told apart by their label."""
    return LabelledImages(some_images(count), torch.arange(count))


@pytest.mark.parametrize(("count", "batch_size", "batches"), [(10, 5, 2), (10, 4, 2), (3, 4, 1), (4, 4, 1)])
def test_an_epoch_shows_each_image_at_most_once(count: int, batch_size: int, batches: int) -> None:
    data = numbered(count)
    loader = Batches(data, batch_size, seed=0)
    assert len(loader) == batches
    for epoch in range(3):
        seen = torch.cat([loader.at(epoch * batches + position)[1] for position in range(batches)])
        assert len(seen) == batches * min(batch_size, count)
        assert len(seen.unique()) == len(seen)
    images, labels = loader.at(1)
    assert images.dtype == torch.float32
    assert torch.equal(images, data.images[labels] / 255)


def test_batches_depend_on_seed_and_step_only() -> None:
    data = numbered(20)
    steps = [7, 0, 3, 7, 12]
    loader = Batches(data, 6, seed=5, padding=1, flip=True)
    for step in steps:
        images, labels = Batches(data, 6, seed=5, padding=1, flip=True).at(step)
        assert torch.equal(loader.at(step)[0], images)
        assert torch.equal(loader.at(step)[1], labels)
    assert not torch.equal(loader.at(0)[1], Batches(data, 6, seed=6).at(0)[1])
    assert not torch.equal(loader.at(0)[1], loader.at(3)[1]), "an epoch has its own order"


def test_batches_refuse_what_cannot_be() -> None:
    with pytest.raises(ConfigError, match="batch_size"):
        Batches(numbered(3), 0, seed=0)
    with pytest.raises(ConfigError, match="padding"):
        Batches(numbered(3), 1, seed=0, padding=-1)
    with pytest.raises(DataError, match="at least one image"):
        Batches(numbered(0), 1, seed=0)
    with pytest.raises(ValueError, match="step >= 0"):
        Batches(numbered(3), 1, seed=0).at(-1)


def test_labelled_images() -> None:
    data = numbered(4)
    assert data.select([2, 0]).labels.tolist() == [2, 0]
    assert torch.equal(data.floats() * 255, data.images.float())
    assert torch.equal(data.to("cpu").images, data.images)
    with pytest.raises(DataError, match="uint8"):
        LabelledImages(data.floats(), data.labels)
    with pytest.raises(DataError, match=r"labels of shape \(4,\)"):
        LabelledImages(data.images, data.labels[:3])
