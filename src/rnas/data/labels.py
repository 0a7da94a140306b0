"""Labels of any kind as class indices: classes, whole numbers, texts, truth values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import datasets
import numpy as np

from rnas.data.sources import listed
from rnas.errors import DataError

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Labels", "class_names", "indices", "read_labels"]


@dataclass(frozen=True)
class Labels:
    """The labels of a part.

    Args:
        values: int64, shape (N,); -1 where an image has none.
        names: what a value stands for; None for plain numbers.
    """

    values: NDArray[np.int64]
    names: tuple[str, ...] | None

    @property
    def absent(self) -> bool:
        """Whether no image has a label, as in test parts whose answers are kept secret."""
        return bool((self.values < 0).all())


def read_labels(rows: Any, column: str, where: str) -> Labels:
    """The labels in a column.

    Args:
        rows: a `datasets.Dataset`.
        column: one that `columns.find_columns` found.
        where: how an error begins.

    Raises:
        DataError: if there is no row, some rows have a label and others none, or a number is not whole.
    """
    if len(rows) == 0:
        raise DataError(f"{where}: expected at least one image, got none")
    feature, values = rows.features[column], rows.select_columns([column])[:][column]
    # NaN, which pandas writes where an integer is missing, is not equal to itself.
    missing = [index for index, value in enumerate(values) if value is None or value != value]
    if len(missing) == len(values):
        return Labels(np.full(len(values), -1), None)
    if missing:
        raise DataError(f"{where}: image {missing[0]} has no label")
    if isinstance(feature, datasets.ClassLabel):
        return Labels(np.array(values, dtype=np.int64), tuple(str(name) for name in feature.names))
    if isinstance(values[0], str):
        # In the order of the numbers where all are such, so that "10" does not come before "2".
        texts = sorted(set(values), key=(lambda text: (int(text), text)) if all(map(is_number, values)) else None)
        place = {text: index for index, text in enumerate(texts)}
        return Labels(np.array([place[value] for value in values], dtype=np.int64), tuple(texts))
    if isinstance(values[0], bool):
        return Labels(np.array(values, dtype=np.int64), ("False", "True"))
    for index, value in enumerate(values):
        if not -(2**63) <= value < 2**63 or value != int(value):
            raise DataError(f"{where}: image {index} has the label {value}, expected whole numbers")
    return Labels(np.array(values, dtype=np.int64), None)


def is_number(text: str) -> bool:
    """Whether a text is a class index."""
    return text.isascii() and text.isdigit() and len(text) < 20


def class_names(train: Labels, origin: str) -> tuple[str, ...]:
    """Name the classes, and check that there are at least two, each with a training image.

    Raises:
        DataError: if not.
    """
    if train.absent:
        raise DataError(f"{origin}: no training image has a label (all are -1 or empty)")
    present = set(np.unique(train.values[train.values >= 0]).tolist())
    names = train.names
    if names is None:
        # The smallest number that is missing comes first, so that a column of huge numbers makes no huge list.
        count = next(number for number in range(len(present) + 1) if number not in present)
        if count != len(present):
            raise DataError(f"{origin}: class '{count}' has no training image, though labels reach {max(present)}")
        names = tuple(str(number) for number in range(count))
    empty = [name for number, name in enumerate(names) if number not in present]
    if empty:
        raise DataError(f"{origin}: expected training images of each class, got none of {listed(empty)}")
    if len(names) < 2:
        raise DataError(f"{origin}: expected at least 2 classes, got {len(names)} ({', '.join(names)[:60] or 'none'})")
    return names


def indices(labels: Labels, classes: tuple[str, ...], part: str, origin: str) -> NDArray[np.int64]:
    """The labels of a part as indices into the classes, which the part may have in another order.

    Raises:
        DataError: if an image's class or number is none of them.
    """
    values = labels.values
    if labels.names is not None and labels.names != classes:
        place = {name: index for index, name in enumerate(classes)}
        used = [number for number in np.unique(values).tolist() if 0 <= number < len(labels.names)]
        others = [labels.names[number] for number in used if labels.names[number] not in place]
        if others:
            raise DataError(
                f"{origin}: {part} has images of {listed(others)}, the classes of train are {listed(classes)}"
            )
        mapped = np.full(len(labels.names), -1)
        mapped[used] = [place[labels.names[number]] for number in used]
        inside = (values >= 0) & (values < len(labels.names))
        values = np.where(inside, mapped[np.where(inside, values, 0)], np.where(values < 0, values, len(classes)))
    outside = np.flatnonzero((values < 0) | (values >= len(classes)))
    if outside.size:
        raise DataError(
            f"{origin}: {part} image {outside[0]} has the label {labels.values[outside[0]]}, "
            f"expected 0 to {len(classes) - 1}"
        )
    return values
