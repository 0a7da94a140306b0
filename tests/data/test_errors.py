"""Everything a user can get wrong about data gives one line that says what, where and what was expected."""

from __future__ import annotations

import io
import time
from typing import TYPE_CHECKING, Any

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from rnas.data import DataConfig, load
from rnas.errors import ConfigError, DataError, RnasError, UnknownNameError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

GOOD = [0, 1] * 3


def refused(source: object, kind: type[RnasError] = DataError, **options: Any) -> str:
    with pytest.raises(kind) as caught:
        load(str(source), **options)
    message = str(caught.value)
    assert "\n" not in message
    return message


def image(size: int, mode: str = "RGB") -> bytes:
    buffer = io.BytesIO()
    Image.new(mode, (size, size + 1)).save(buffer, format="PNG")
    return buffer.getvalue()


def test_names_and_paths(tmp_path: Path, write_images: Callable[..., None]) -> None:
    message = refused("cifar1", UnknownNameError)
    assert "'cifar1'; did you mean 'cifar10'?" in message
    assert "owner/name" in message
    assert "path" in message
    assert refused(tmp_path / "none") == f"{tmp_path}/none: no such file or folder"
    assert "no such file" in refused("./none")
    refused("", UnknownNameError)
    (tmp_path / "notes.txt").write_text("x")
    assert "a folder or a parquet file" in refused(tmp_path / "notes.txt")
    (tmp_path / "empty").mkdir()
    assert "found neither" in refused(tmp_path / "empty")
    write_images(tmp_path / "only" / "test", {"a": 2, "b": 2})
    assert refused(tmp_path / "only") == f"{tmp_path}/only: expected a train split, found test"


def test_hub_out_of_reach_is_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(*_: Any, **__: Any) -> None:
        raise ConnectionRefusedError("no route\nat all")

    monkeypatch.setattr("huggingface_hub.is_offline_mode", lambda: False)
    monkeypatch.setattr("huggingface_hub.HfApi.dataset_info", unreachable)
    start = time.monotonic()
    message = refused("cifar10")
    assert time.monotonic() - start < 2
    assert message.startswith("cifar10: the Hugging Face hub cannot be reached")
    assert "folder of parquet files" in message
    assert refused("owner/name").startswith("owner/name: no such folder, and the Hugging Face hub cannot be reached")


def test_libraries_are_quiet_and_as_before(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        datasets.logging.get_logger("datasets.load").error("noise")
        assert datasets.are_progress_bars_disabled()
        raise ValueError("Config name is missing.\nPlease pick one among: ['a', 'b']")

    monkeypatch.setattr("huggingface_hub.is_offline_mode", lambda: True)
    monkeypatch.setattr("datasets.load_dataset_builder", refuse)
    before = datasets.logging.get_verbosity(), datasets.are_progress_bars_disabled()
    assert "Please pick one among: ['a', 'b']" in refused("owner/name")
    assert (datasets.logging.get_verbosity(), datasets.are_progress_bars_disabled()) == before
    assert capfd.readouterr().err == ""


def test_columns(write_part: Callable[..., Path]) -> None:
    folder = write_part("train", GOOD, text=(datasets.Value("string"), ["x"] * 6))
    assert "no label column 'lable' (columns: img, label, text)" in refused(folder, label_column="lable")
    assert "no image column 'pic' (columns: img, label, text)" in refused(folder, image_column="pic")
    assert "expected classes, integers or texts in the label column 'img'" in refused(folder, label_column="img")
    assert "expected at least 2 classes, got 1 (x)" in refused(folder, label_column="text")
    assert "expected encoded images in the image column 'label'" in refused(folder, image_column="label")


def test_digits_have_no_columns() -> None:
    assert "no columns to choose, got 'target'" in refused("digits", label_column="target")


def test_several_or_no_label_columns(write_part: Callable[..., Path], tmp_path: Path) -> None:
    folder = write_part("train", GOOD)
    classes = datasets.ClassLabel(names=["x", "y"])
    for extra, expected in (({"size": classes, "shape": classes}, "choices: size, shape"), ({}, "columns: img")):
        table = datasets.Dataset.from_parquet(
            str(folder / "train-00000-of-00001.parquet"), cache_dir=str(tmp_path / f"copy{len(extra)}")
        ).remove_columns("label")
        for name, feature in extra.items():
            table = table.add_column(name, GOOD, feature=feature)
        table.to_parquet(tmp_path / f"set{len(extra)}.parquet")
        message = refused(tmp_path / f"set{len(extra)}.parquet")
        assert expected in message
        assert "label_column" in message


def test_damaged_files(write_part: Callable[..., Path]) -> None:
    folder = write_part("train", GOOD)
    file = write_part("test", GOOD) / "test-00000-of-00001.parquet"
    sound = file.read_bytes()
    for damaged in (sound[: len(sound) // 2], b"", b"PAR1" + bytes(100) + b"PAR1"):
        file.write_bytes(damaged)
        assert refused(folder).startswith(f"{file}: not a whole parquet file (")


def test_damaged_images(write_part: Callable[..., Path]) -> None:
    images: list[Any] = [image(8) for _ in range(6)]
    for bad, expected in (
        (images[3][:40], "test image 3 cannot be decoded ("),
        (b"not an image", "test image 3 cannot be decoded ("),
        (None, "test image 3 is missing"),
        (image(8, "I;16"), "test image 3 has pixels of mode I;16, expected 8 bits"),
        (image(9), "test image 3 is 9x10 pixels, the first is 8x9 pixels"),
    ):
        write_part("train", GOOD, images)
        folder = write_part("test", GOOD, [*images[:3], bad, *images[4:]])
        assert expected in refused(folder)
    folder = write_part("test", GOOD, [image(7)] * 6)
    assert "test images are 7x8 pixels, train's 8x9 pixels" in refused(folder)


def test_a_damaged_file_is_named(write_images: Callable[..., None], tmp_path: Path) -> None:
    write_images(tmp_path / "train", {"a": 5, "b": 5})
    for damaged, expected in ((b"", "cannot be decoded"), (image(9), "is 9x10 pixels, the first is 8x8 pixels")):
        (tmp_path / "train" / "b" / "002.png").write_bytes(damaged)
        message = refused(tmp_path / "train")
        assert f"train image 7 ({tmp_path}/train/b/002.png) {expected}" in message


def test_an_image_is_never_fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fetch(*_: Any, **__: Any) -> None:
        raise AssertionError("opened a connection")

    monkeypatch.setattr("datasets.features.image.xopen", fetch)
    remote = [{"bytes": None, "path": "https://example.com/a.png"}] * 6
    pq.write_table(pa.table({"picture": remote, "label": GOOD}), tmp_path / "train.parquet")
    assert "train image 0 (https://example.com/a.png) is missing" in refused(tmp_path / "train.parquet")


def test_classes(write_part: Callable[..., Path], write_images: Callable[..., None], tmp_path: Path) -> None:
    folder = write_part("train", GOOD, names=["cat", "dog", "emu", "fox"])
    assert "expected training images of each class, got none of 'emu', 'fox'" in refused(folder)
    folder = write_part("train", [0] * 6, names=["cat"])
    assert "expected at least 2 classes, got 1 (cat)" in refused(folder)
    write_images(tmp_path / "birds", {"wren": 5, "gull": 5})
    load(str(tmp_path / "birds"))
    (tmp_path / "birds" / "tern").mkdir()
    assert "none of 'tern'" in refused(tmp_path / "birds"), "an empty class folder counts, also after a cached load"
    write_images(tmp_path / "few", {"wren": 5, "gull": 1})
    assert "only 1 of 'gull'" in refused(tmp_path / "few")
    assert "expected at least one image" in refused(write_part("train", []))


def test_labels(write_part: Callable[..., Path]) -> None:
    numbers = datasets.Value("int64")
    folder = write_part("train", GOOD, number=(numbers, [0, 1, 2] * 2))
    write_part("test", [0, 1, -1], number=(numbers, [0, 1, 3]))
    assert "test image 2 has the label -1, expected 0 to 1" in refused(folder)
    assert "test image 2 has the label 3, expected 0 to 2" in refused(folder, label_column="number")
    write_part("test", [0, None, 1], number=(numbers, [0, 1, 2]))
    assert "image 1 has no label" in refused(folder)
    folder = write_part("train", GOOD, number=(numbers, [0, 1, 10**15] * 2))
    assert "class '2' has no training image, though labels reach 1000000000000000" in refused(
        folder, label_column="number"
    )


def test_parts_in_several_folders(write_part: Callable[..., Path], tmp_path: Path) -> None:
    file = write_part("train", GOOD) / "train-00000-of-00001.parquet"
    for name in ("small", "large"):
        (tmp_path / "both" / name).mkdir(parents=True)
        (tmp_path / "both" / name / file.name).write_bytes(file.read_bytes())
    message = refused(tmp_path / "both")
    assert "several folders hold train files" in message
    assert "both/large" in message


def test_limits(write_part: Callable[..., Path]) -> None:
    folder = write_part("train", [0, 1, 2] * 5, names="abc")
    assert "a limit of 2 leaves classes without an image, the 3 classes need" in refused(folder, limit=2)
    assert "limit: expected an integer > 0" in refused(folder, ConfigError, limit=0)
    for wrong in ({"limit": 0}, {"limit": -3}, {"crop_padding": -1}, {"source": ""}):
        with pytest.raises(ConfigError):
            DataConfig(**wrong)


def test_config_resolves_what_is_left_open() -> None:
    assert [DataConfig().padding_for(height) for height in (8, 32)] == [1, 4]
    assert DataConfig(crop_padding=0).padding_for(32) == 0
    assert DataConfig().flip_for(True) is True
    assert DataConfig(flip=False).flip_for(True) is False
    assert np.all([DataConfig(flip=True).flip_for(natural) for natural in (True, False)])
