"""Labels of every kind that people keep give the same classes, and the two parts agree on what a class is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rnas.data import load
from rnas.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

GOOD = [0, 1] * 3


@pytest.mark.parametrize(
    ("labels", "names"),
    [
        (["no", "yes"] * 3, ("no", "yes")),
        (["10", "9"] * 3, ("9", "10")),
        ([False, True] * 3, ("False", "True")),
        ([0.0, 1.0] * 3, ("0", "1")),
        (pa.array(["no", "yes"] * 3).dictionary_encode(), ("no", "yes")),
        (pa.array(["no", "yes"] * 3, pa.large_string()), ("no", "yes")),
        (pa.array(GOOD, pa.uint8()), ("0", "1")),
    ],
)
def test_labels_of_any_kind(labels: Any, names: tuple[str, ...], write_table: Callable[..., Path]) -> None:
    folder = write_table("train", labels)
    write_table("test", labels[:4])
    data = load(str(folder))
    assert data.class_names == names
    expected = [1, 0] * 3 if names == ("9", "10") else GOOD
    assert data.train.labels.tolist() == expected
    assert data.test.labels.tolist() == expected[:4]


@pytest.mark.parametrize(
    ("labels", "says"),
    [
        ([0, 1, None, 1, 0, 1], "train: image 2 has no label"),
        ([0.0, 1.0, float("nan"), 1.0, 0.0, 1.0], "train: image 2 has no label"),
        ([0.0, 1.0, 0.5, 1.0, 0.0, 1.0], "train: image 2 has the label 0.5, expected whole numbers"),
        ([0.0, 1.0, float("inf"), 1.0, 0.0, 1.0], "train: image 2 has the label inf, expected whole numbers"),
        ([None] * 6, "no training image has a label"),
        ([-1] * 6, "no training image has a label"),
        (pa.array([0, 2**64 - 1] * 3, pa.uint64()), "train: image 1 has the label 18446744073709551615"),
    ],
)
def test_labels_that_are_none(labels: Any, says: str, write_table: Callable[..., Path]) -> None:
    with pytest.raises(DataError) as caught:
        load(str(write_table("train", labels)))
    assert says in str(caught.value)


def test_many_missing_classes_are_one_short_line(write_part: Callable[..., Path]) -> None:
    folder = write_part("train", GOOD, names=[f"class{number}" for number in range(1000)])
    with pytest.raises(DataError, match=r"none of 'class2', 'class3', .* and 993 more$"):
        load(str(folder))


def labels_of(folder: Path, names: Sequence[str]) -> list[str]:
    data = load(str(folder))
    assert list(data.class_names) == list(names)
    return [data.class_names[label] for label in data.test.labels.tolist()]


def test_classes_in_another_order_are_mapped_by_name(write_part: Callable[..., Path]) -> None:
    write_part("train", GOOD)
    folder = write_part("test", [0, 1, 1], names=["dog", "cat"])
    assert labels_of(folder, ["cat", "dog"]) == ["dog", "cat", "cat"]
    # Names that no image has do not matter, and a part may have fewer.
    write_part("test", [2, 1], names=["emu", "cat", "dog"])
    assert labels_of(folder, ["cat", "dog"]) == ["dog", "cat"]
    write_part("test", [0, 0], names=["dog"])
    assert labels_of(folder, ["cat", "dog"]) == ["dog", "dog"]


def test_other_classes_are_refused(write_part: Callable[..., Path]) -> None:
    write_part("train", GOOD)
    folder = write_part("test", [0, 1, 2], names=["cat", "emu", "fox"])
    with pytest.raises(DataError, match="test has images of 'emu', 'fox', the classes of train are 'cat', 'dog'"):
        load(str(folder))


def test_texts_and_classes_are_compared_by_name(
    write_part: Callable[..., Path], write_table: Callable[..., Path]
) -> None:
    stored = pq.read_table(write_table("train", GOOD) / "train.parquet")["image"].to_pylist()
    pictures = [item["bytes"] for item in stored]
    folder = write_part("train", GOOD, pictures)
    # Numbers mean the classes of their indices.
    for labels in (["dog", "cat", "dog"], [1, 0, 1]):
        (write_table("test", labels) / "test.parquet").replace(folder / "test-0.parquet")
        assert labels_of(folder, ["cat", "dog"]) == ["dog", "cat", "dog"]
    numbers = write_table("train", GOOD)
    write_table("test", ["1", "0"])
    assert labels_of(numbers, ["0", "1"]) == ["1", "0"]


def test_a_test_part_without_labels(write_part: Callable[..., Path]) -> None:
    write_part("train", GOOD)
    folder = write_part("test", [-1, -1])
    with pytest.raises(
        DataError, match=r"no test image has a label .* give a labelled test part, or take this one away"
    ):
        load(str(folder))
    # As on the hub, where the answers of a test part are kept secret.
    write_part("validation", [1, 0, 1])
    assert load(str(folder)).test.labels.tolist() == [1, 0, 1]
    # A labelled test part is the test part, whatever the other one is like.
    write_part("test", [0, 1])
    (folder / "validation-00000-of-00001.parquet").write_bytes(b"damaged")
    assert load(str(folder)).test.labels.tolist() == [0, 1]


def test_classes_come_before_texts(write_part: Callable[..., Path], tmp_path: Path) -> None:
    kinds = datasets.ClassLabel(names=["x", "y", "z"])
    file = write_part("train", GOOD, kind=(kinds, [0, 1, 2] * 2)) / "train-00000-of-00001.parquet"
    table = datasets.Dataset.from_parquet(str(file), cache_dir=str(tmp_path / "copy"))
    table.cast_column("label", datasets.Value("string")).to_parquet(tmp_path / "texts.parquet")
    assert load(str(tmp_path / "texts.parquet")).class_names == ("x", "y", "z")
    assert load(str(tmp_path / "texts.parquet"), label_column="label").class_names == ("0", "1")
