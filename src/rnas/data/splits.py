"""Seeded, stratified index sets.

One order of the images serves all of them: within each class the images are shuffled and spread evenly over [0, 1], and
all are sorted by that place. Every prefix of the order then holds the classes in proportion, to within one image, and
at least one image of each class as soon as it is as long as there are classes. scikit-learn's stratified splitters
refuse what this allows: a class with one image, a remainder smaller than the number of classes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from rnas.config import require
from rnas.seeding import derive

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["halves", "held_out", "stratified_subset"]


def stratified_subset(labels: Tensor, count: int, seed: int) -> Tensor:
    """Choose images so that every class keeps its share.

    A smaller subset with the same seed is contained in a larger one.

    Args:
        labels: class indices, int64, shape (N,).
        count: how many to choose, > 0; N or more chooses all. From the number of classes on, each class is present.
        seed: decides which images of a class are chosen.

    Returns:
        min(count, N) distinct indices, int64, sorted.

    Raises:
        ConfigError: if `count` is not positive.
    """
    require(count > 0, "count", "an integer > 0", count)
    return _order(labels, derive(seed, "stratified subset"))[:count].sort().values


def halves(labels: Tensor, seed: int) -> tuple[Tensor, Tensor]:
    """Split the images in two, the halves of each class differing by at most one image or so.

    Args:
        labels: class indices, int64, shape (N,).
        seed: decides the split.

    Returns:
        Indices for theta and for alpha, int64, sorted, disjoint, together all N; theta has the odd one.
    """
    order = _order(labels, derive(seed, "halves"))
    middle = (len(order) + 1) // 2
    return order[:middle].sort().values, order[middle:].sort().values


def held_out(labels: Tensor, num_classes: int) -> tuple[Tensor, Tensor]:
    """Split off a fifth as the test set of data that come without one.

    The seed is fixed: which images are for testing belongs to the data set, so that no command with a seed of its own
    can train on what another one tests on.

    Args:
        labels: class indices, int64, shape (N,), at least two images of each class.
        num_classes: number of classes; the test set has at least one image of each.

    Returns:
        Indices for training and for testing, int64, sorted, disjoint, together all N.
    """
    order = _order(labels, derive(0, "held-out test"))
    count = max(round(len(order) / 5), num_classes)
    return order[count:].sort().values, order[:count].sort().values


def _order(labels: Tensor, seed: int) -> Tensor:
    """An order of the images all of whose prefixes are stratified."""
    generator = np.random.default_rng(seed)
    classes = labels.cpu().numpy()
    shuffled = generator.permutation(len(classes))
    by_class = shuffled[np.argsort(classes[shuffled], kind="stable")]
    _, starts, inverse, sizes = np.unique(classes[by_class], return_index=True, return_inverse=True, return_counts=True)
    rank = np.arange(len(classes)) - starts[inverse]
    place = np.where(rank == 0, 0.0, (rank + 0.5) / sizes[inverse])
    # Classes tie at every place; chance, not the class index, decides who comes first.
    return torch.from_numpy(by_class[np.lexsort((generator.random(len(classes)), place))])
