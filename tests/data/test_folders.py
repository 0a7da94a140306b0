"""Folders as people have them: what is meant is read, or one line says what is there and what to do."""

from __future__ import annotations

import logging
import shutil
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rnas.data import load
from rnas.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

GOOD = [0, 1] * 5


def refused(source: object) -> str:
    with pytest.raises(DataError) as caught:
        load(str(source))
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("names", [("imagenet_train", "imagenet_val"), ("my-test", "my-train"), ("a_train", "b_dev")])
def test_parts_of_other_names_are_no_classes(
    names: tuple[str, str], write_images: Callable[..., None], tmp_path: Path
) -> None:
    for name in names:
        write_images(tmp_path / "set" / name, {"a": 5, "b": 5})
    message = refused(tmp_path / "set")
    assert "expected folders called train and test (or val)" in message
    assert f"found '{names[0]}', '{names[1]}': rename them" in message


def test_parts_without_classes(write_images: Callable[..., None], tmp_path: Path) -> None:
    write_images(tmp_path / "set", {"train": 5, "test": 5})
    message = "expected one sub-folder of images for each class inside 'test', 'train', found none there"
    assert message in refused(tmp_path / "set")


def test_a_folder_around_a_data_set_is_told(write_images: Callable[..., None], tmp_path: Path) -> None:
    write_images(tmp_path / "parts" / "birds" / "train", {"a": 5, "b": 5})
    write_images(tmp_path / "parts" / "birds" / "test", {"a": 5, "b": 5})
    assert f"'birds' holds such folders itself: give --data {tmp_path}/parts/birds" in refused(tmp_path / "parts")
    write_images(tmp_path / "classes" / "birds", {"a": 5, "b": 5})
    assert f"'birds' holds such folders itself: give --data {tmp_path}/classes/birds" in refused(tmp_path / "classes")
    # Two data sets side by side.
    shutil.copytree(tmp_path / "parts" / "birds", tmp_path / "parts" / "fish")
    assert "'birds', 'fish' holds such folders" in refused(tmp_path / "parts")


def test_classes_may_have_folders_of_their_own(write_images: Callable[..., None], tmp_path: Path) -> None:
    for name in ("steam_train", "dog"):
        write_images(tmp_path / "set" / name, {"first": 3, "second": 3})
    assert load(str(tmp_path / "set")).class_names == ("dog", "steam_train")


def test_numbered_files_are_training_images(write_part: Callable[..., Path], tmp_path: Path) -> None:
    file = write_part("train", GOOD) / "train-00000-of-00001.parquet"
    (tmp_path / "spark").mkdir()
    for number in range(3):
        shutil.copy(file, tmp_path / "spark" / f"part-{number}.parquet")
        assert len(load(str(tmp_path / "spark")).train) == 8 * (number + 1)
    # Whose names say more than that are not thrown together.
    for name in ("cifar_train.parquet", "cifar_test.parquet"):
        (tmp_path / "named").mkdir(exist_ok=True)
        shutil.copy(file, tmp_path / "named" / name)
    message = refused(tmp_path / "named")
    assert "expected files whose names begin with train, test or validation" in message
    assert "'cifar_test.parquet', 'cifar_train.parquet': rename them" in message


def test_empty_parquet_files(tmp_path: Path) -> None:
    file = tmp_path / "train.parquet"
    file.write_bytes(b"")
    assert refused(tmp_path) == f"{file}: not a whole parquet file (it is empty)"
    pq.write_table(pa.table({}), file)
    assert refused(tmp_path) == f"{file}: expected a column of images and one of labels, the file has no columns"


def test_a_folder_called_like_a_known_data_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "digits").mkdir()
    with caplog.at_level(logging.WARNING, "rnas"):
        assert load("digits").size == (8, 8)
    assert "digits is the known data set; the folder of that name here is ./digits" in caplog.text
    assert "digits: expected parquet files" in refused("./digits")
    (tmp_path / "digits").rmdir()
    caplog.clear()
    load("digits")
    assert not caplog.records
