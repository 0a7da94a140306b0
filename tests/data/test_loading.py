"""Every kind of source gives the pixels that were put in, and the cache changes nothing but the time."""

from __future__ import annotations

import io
import logging
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import datasets
import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

from rnas.data import load
from rnas.data.images import content_hash
from rnas.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Callable

    from rnas.data import ImageDataset


def assert_same(one: ImageDataset, other: ImageDataset) -> None:
    assert one.fingerprint == other.fingerprint
    assert one.class_names == other.class_names
    for a, b in ((one.train, other.train), (one.test, other.test)):
        assert torch.equal(a.images, b.images)
        assert torch.equal(a.labels, b.labels)


def pixels(encoded: bytes) -> torch.Tensor:
    return torch.from_numpy(np.array(Image.open(io.BytesIO(encoded)))).permute(2, 0, 1)


def test_digits_are_scikit_learns() -> None:
    from sklearn.datasets import load_digits

    data = load("digits")
    assert (data.num_classes, data.channels, data.size, data.flip) == (10, 1, (8, 8), False)
    assert len(data.train) + len(data.test) == 1797
    assert len(data.test) == pytest.approx(1797 / 5, abs=1)
    # Held out, not copied: both parts together are exactly the original images, each once.
    images = torch.cat([data.train.images, data.test.images]).flatten(1)
    labels = torch.cat([data.train.labels, data.test.labels])
    restored = (images.double() * 16 / 255).round().long()
    original = load_digits()
    ours = sorted((*row, label) for row, label in zip(restored.tolist(), labels.tolist(), strict=True))
    assert ours == sorted((*row, label) for row, label in zip(original.data.tolist(), original.target, strict=True))
    share = data.test.labels.bincount() / labels.bincount()
    assert ((share - 0.2).abs() < 0.01).all()


def test_parquet_folder(write_part: Callable[..., Path], cache_folder: Path) -> None:
    write_part("train", [0, 1] * 4)
    folder = write_part("test", [1, 0])
    data = load(str(folder))
    assert (data.name, data.class_names, data.size, data.channels, data.flip) == (
        "pets",
        ("cat", "dog"),
        (6, 5),
        3,
        True,
    )
    stored = datasets.Dataset.from_parquet(str(folder / "train-00000-of-00001.parquet"), cache_dir=str(cache_folder))
    encoded = stored.cast_column("img", datasets.Image(decode=False))["img"]
    assert torch.equal(data.train.images, torch.stack([pixels(item["bytes"]) for item in encoded]))
    assert data.train.labels.tolist() == [0, 1] * 4
    assert data.test.labels.tolist() == [1, 0]


def test_hub_layouts_are_the_same_data(write_part: Callable[..., Path], tmp_path: Path) -> None:
    write_part("train", [0, 1] * 4)
    folder = write_part("test", [1, 0])
    write_part("extra", [0, 0])
    expected = load(str(folder))
    for number, layout in enumerate(("data/{}-00000-of-00001", "default/{}/0000", "{}")):
        copy = tmp_path / f"copy{number}"
        for part in ("train", "test"):
            target = copy / f"{layout.format(part)}.parquet"
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(folder / f"{part}-00000-of-00001.parquet", target)
        assert_same(load(str(copy)), expected)
    # A validation part stands in for a test part.
    (copy / "test.parquet").rename(copy / "validation.parquet")
    assert_same(load(str(copy)), expected)


def test_image_folder_with_and_without_parts(write_images: Callable[..., None], tmp_path: Path) -> None:
    # A class called "test", and file names with a part's name, are nothing special.
    whole = tmp_path / "whole [1]"
    write_images(whole, {"test": 10, "dog": 20})
    (whole / "dog" / "000.png").rename(whole / "dog" / "test_0.png")
    data = load(str(whole))
    assert data.class_names == ("dog", "test")
    assert data.train.labels.bincount().tolist() == [16, 8]
    assert data.test.labels.bincount().tolist() == [4, 2]
    # The held-out fifth belongs to the data, whatever the seed.
    assert_same(load(str(whole), seed=7), data)
    write_images(tmp_path / "parts" / "train", {"dog": 3, "cat": 4}, mode="L")
    write_images(tmp_path / "parts" / "val", {"dog": 2, "cat": 1}, mode="L")
    data = load(str(tmp_path / "parts"))
    assert (data.channels, len(data.train), len(data.test)) == (1, 7, 3)
    gray = np.array(Image.open(tmp_path / "parts" / "train" / "cat" / "000.png"))
    assert torch.equal(data.train.images[0, 0], torch.from_numpy(gray))


def test_one_colour_image_makes_all_colour(write_images: Callable[..., None], tmp_path: Path) -> None:
    folder = tmp_path / "mixed"
    write_images(folder, {"a": 5, "b": 5}, mode="L")
    (folder / "b" / "004.png").unlink()
    write_images(folder / "b", {"deeper": 1}, mode="P")
    data = load(str(folder))
    assert data.channels == 3
    grays = (data.train.images == data.train.images[:, :1]).flatten(1).all(1)
    assert (~grays).sum() <= 1
    assert grays.sum() >= 7


def test_columns_are_found_or_named(write_part: Callable[..., Path]) -> None:
    fine = (datasets.ClassLabel(names=["x", "y", "z"]), [0, 1, 2, 0, 1, 2])
    numbers = (datasets.Value("int32"), [2, 1, 0] * 2)
    folder = write_part("train", [0, 1] * 3, fine_label=fine, number=numbers)
    write_part("test", [0, 1] * 3, fine_label=fine, number=numbers)
    assert load(str(folder)).class_names == ("cat", "dog")
    assert load(str(folder), label_column="fine_label").class_names == ("x", "y", "z")
    data = load(str(folder), label_column="number", image_column="img")
    assert data.class_names == ("0", "1", "2")
    assert data.train.labels.tolist() == [2, 1, 0] * 2


def test_limit_is_stratified_and_spares_the_test_set(write_part: Callable[..., Path]) -> None:
    write_part("train", [0] * 30 + [1] * 10)
    folder = write_part("test", [0, 1, 1])
    whole, few, other = load(str(folder)), load(str(folder), limit=8), load(str(folder), limit=8, seed=1)
    assert few.train.labels.bincount().tolist() == [6, 2]
    assert torch.equal(few.test.images, whole.test.images)
    assert len({whole.fingerprint, few.fingerprint, other.fingerprint}) == 3
    assert_same(load(str(folder), limit=8), few)
    assert_same(load(str(folder), limit=1000), whole)
    assert few.fingerprint == content_hash(few.class_names, few.train, few.test)


def test_fewer_pixels_are_means_of_blocks() -> None:
    data, halved = load("digits"), load("digits", pixels=4)
    assert halved.size == (4, 4)
    blocks = data.test.images.float().unflatten(2, (4, 2)).unflatten(4, (4, 2)).mean(dim=(3, 5))
    assert torch.equal(halved.test.images, blocks.round().to(torch.uint8))
    with pytest.raises(DataError, match="pixels: expected at most the images' 8 x 8, got 9"):
        load("digits", pixels=9)


def test_cache_gives_the_same_and_is_rebuilt_if_damaged(write_part: Callable[..., Path], cache_folder: Path) -> None:
    write_part("train", [0, 1] * 4)
    folder = write_part("test", [1, 0])
    fresh = load(str(folder))
    (kept,) = cache_folder.rglob("*.*")
    written = kept.stat().st_ino
    assert_same(load(str(folder)), fresh)
    assert kept.stat().st_ino == written, "a sound file is used, not written again"
    sound = kept.read_bytes()
    # Cut off, a pixel changed, another file altogether, empty.
    for damaged in (sound[:-7], sound[:-1] + bytes([sound[-1] ^ 1]), b"{}" * 100, b""):
        kept.write_bytes(damaged)
        assert_same(load(str(folder)), fresh)
        repaired = kept.stat().st_ino
        assert_same(load(str(folder)), fresh)
        assert (kept.stat().st_ino, kept.stat().st_size) == (repaired, len(sound))
    # Changed data are other data.
    write_part("train", [1, 0] * 4)
    assert load(str(folder)).train.labels.tolist() == [1, 0] * 4


def test_unwritable_cache_costs_one_warning(
    write_part: Callable[..., Path], cache_folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = write_part("train", [0, 1] * 10)
    cache_folder.write_text("a file where the folder should be")
    with caplog.at_level(logging.WARNING, "rnas"):
        data = load(str(folder))
    assert len(data.train) == 16
    (record,) = caplog.records
    assert "not kept for next time" in record.message
    assert "\n" not in record.message


def test_hub_data_come_from_the_builder(monkeypatch: pytest.MonkeyPatch, write_part: Callable[..., Path]) -> None:
    """What the hub gives is decoded once; the builder's fingerprint is the cache's key. The hub itself is played."""
    write_part("train", [0, 1] * 4)
    folder = write_part("test", [1, 0])
    calls: list[Any] = []

    class Builder:
        hash = "revision"
        config = datasets.BuilderConfig("cropped_digits")
        info = SimpleNamespace(splits={"train": None, "extra": None, "test": None})

        def download_and_prepare(self) -> None:
            calls.append("download")

        def as_dataset(self, split: str) -> Any:
            calls.append(split)
            table = pq.read_table(folder / f"{split}-00000-of-00001.parquet")
            return datasets.Dataset(table)

    def load_dataset_builder(repository: str, name: str | None) -> Builder:
        calls.append((repository, name))
        return Builder()

    monkeypatch.setattr("huggingface_hub.is_offline_mode", lambda: True)
    monkeypatch.setattr("datasets.load_dataset_builder", load_dataset_builder)
    data = load("svhn")
    assert calls == [("ufldl-stanford/svhn", "cropped_digits"), "download", "train", "test"]
    assert (data.name, data.flip) == ("svhn", False)
    assert_same(data, load(str(folder)))
    calls.clear()
    assert_same(load("svhn"), data)
    assert calls == [("ufldl-stanford/svhn", "cropped_digits")]
    assert load("owner/fashion_mnist").flip is False
    assert load("owner/birds").flip is True


def test_configuration_imports_no_torch() -> None:
    code = "import sys, rnas.data.config, rnas.data; sys.exit('torch' in sys.modules or 'datasets' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_cached_folder_needs_no_datasets(write_part: Callable[..., Path]) -> None:
    folder = write_part("train", [0, 1] * 10)
    load(str(folder))
    code = f"import sys, rnas.data; rnas.data.load({str(folder)!r}); sys.exit('datasets' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_cifar10_of_shared(tmp_path: Path) -> None:
    shared = Path(os.environ.get("RNAS_SHARED") or Path(__file__).parents[3] / "shared")
    folder = shared / "data" / "cifar10"
    if not folder.is_dir():
        pytest.skip(f"no CIFAR-10 in {folder} (RNAS_SHARED names another shared folder)")
    # Thirty images of each class, for all of them take a quarter of a minute to decode.
    for part, of_class in (("train", 5000), ("test", 1000)):
        (file,) = folder.rglob(f"{part}*.parquet")
        table = pq.read_table(file)
        labels = table.column("label").to_numpy()
        assert np.bincount(labels).tolist() == [of_class] * 10
        rows = np.argsort(labels, kind="stable").reshape(10, of_class)[:, :30].flatten()
        pq.write_table(table.take(rows), tmp_path / f"{part}.parquet")
    data = load(str(tmp_path), limit=100)
    assert (data.num_classes, data.channels, data.size) == (10, 3, (32, 32))
    assert data.train.labels.bincount().tolist() == [10] * 10
    assert data.test.labels.bincount().tolist() == [30] * 10
