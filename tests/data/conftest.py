"""Makers of small data sets, and a cache folder of each test's own."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image


def png(height: int, width: int, *, mode: str = "RGB", seed: int = 0) -> bytes:
    """A random image, encoded without loss."""
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).convert(mode).save(buffer, format="PNG")
    return buffer.getvalue()


def write_parquet(file: Path, columns: dict[str, tuple[Any, Sequence[Any]]]) -> None:
    """A file as the hub stores it, from each column's feature and values."""
    file.parent.mkdir(parents=True, exist_ok=True)
    features = datasets.Features({name: feature for name, (feature, _) in columns.items()})
    rows = {name: list(values) for name, (_, values) in columns.items()}
    datasets.Dataset.from_dict(rows, features=features).to_parquet(file)


@pytest.fixture(autouse=True)
def cache_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "cache"
    monkeypatch.setenv("RNAS_CACHE", str(folder))
    return folder


@pytest.fixture
def write_part(tmp_path: Path) -> Iterator[Callable[..., Path]]:
    """Writes one part of a parquet data set in `tmp_path / "pets"`; None as image or label stays None."""

    def write(part: str, labels: Sequence[Any], images: Sequence[Any] | None = None, **options: Any) -> Path:
        folder = tmp_path / "pets"
        encoded = [png(6, 5, seed=index) for index in range(len(labels))] if images is None else images
        feature = datasets.ClassLabel(names=list(options.pop("names", ("cat", "dog"))))
        write_parquet(
            folder / f"{part}-00000-of-00001.parquet",
            {
                "img": (datasets.Image(), [item and {"bytes": item, "path": None} for item in encoded]),
                "label": (feature, labels),
            }
            | options,
        )
        return folder

    datasets.disable_progress_bars()
    yield write
    datasets.enable_progress_bars()


@pytest.fixture
def write_table(tmp_path: Path) -> Callable[..., Path]:
    """Writes one part of a data set in `tmp_path / "table"` as pyarrow and pandas do, without metadata of the hub."""

    def write(part: str, labels: Any, images: Sequence[Any] | None = None, metadata: bytes | None = None) -> Path:
        folder = tmp_path / "table"
        folder.mkdir(exist_ok=True)
        pictures = images or [{"bytes": png(8, 8, seed=seed), "path": None} for seed in range(len(labels))]
        table = pa.table({"image": pictures, "label": labels})
        if metadata is not None:
            table = table.replace_schema_metadata({"huggingface": metadata})
        pq.write_table(table, folder / f"{part}.parquet")
        return folder

    return write


@pytest.fixture
def write_images() -> Callable[..., None]:
    """Writes an image folder with a number of random images for each class."""

    def write(folder: Path, counts: dict[str, int], *, mode: str = "RGB") -> None:
        for number, (name, count) in enumerate(counts.items()):
            (folder / name).mkdir(parents=True)
            for index in range(count):
                (folder / name / f"{index:03}.png").write_bytes(png(8, 8, mode=mode, seed=100 * number + index))

    return write
