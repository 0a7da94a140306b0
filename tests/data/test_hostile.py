"""Data of strangers: no decoder but those of pictures, no file outside of the folder, no claim that is believed."""

from __future__ import annotations

import io
import json
import os
import struct
import zlib
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image

from rnas.data import load
from rnas.data.pictures import FORMATS
from rnas.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

GOOD = [0, 1] * 3
EPS = b"""%!PS-Adobe-3.0 EPSF-3.0
%%BoundingBox: 0 0 8 8
%%EndComments
/picture { 0 } def
%%EOF
"""


def picture(side: int = 8, form: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    Image.new("L", (side, side), 7).save(buffer, format=form)
    return buffer.getvalue()


def refused(source: Path, **options: Any) -> str:
    with pytest.raises(DataError) as caught:
        load(str(source), **options)
    message = str(caught.value)
    assert "\n" not in message
    assert len(message) < 500 + len(str(source))
    return message


def test_other_decoders_are_never_asked(
    write_images: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ghostscript(*_: Any, **__: Any) -> None:
        raise AssertionError("started Ghostscript")

    monkeypatch.setattr("PIL.EpsImagePlugin.Ghostscript", ghostscript)
    write_images(tmp_path / "set", {"a": 3, "b": 3})
    for content in (EPS, picture(form="TGA")):
        (tmp_path / "set" / "a" / "001.png").write_bytes(content)
        assert f"a/001.png) cannot be decoded (expected one of {', '.join(FORMATS)})" in refused(tmp_path / "set")


@pytest.mark.parametrize("name", FORMATS)
def test_pictures_of_all_formats_are_read_whatever_they_are_called(
    name: str, write_images: Callable[..., None], tmp_path: Path
) -> None:
    write_images(tmp_path / "set", {"a": 3, "b": 3}, mode="L")
    (tmp_path / "set" / "a" / "001.png").write_bytes(picture(form=name))
    assert load(str(tmp_path / "set")).size == (8, 8)


def bomb(side: int) -> bytes:
    """A PNG that claims and holds side x side black pixels."""
    parts = [b"\x89PNG\r\n\x1a\n"]
    row = b"\0" * (side // 8 + 1)
    compressor = zlib.compressobj(9)
    content = b"".join(compressor.compress(row * 100) for _ in range(side // 100)) + compressor.flush()
    for name, data in (
        (b"IHDR", struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)),
        (b"IDAT", content),
        (b"IEND", b""),
    ):
        parts.append(struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)))
    return b"".join(parts)


@pytest.mark.parametrize("side", [11_000, 20_000])
def test_decompression_bombs_are_not_unpacked(side: int, write_part: Callable[..., Path]) -> None:
    folder = write_part("train", GOOD, [picture(), bomb(side), *[picture()] * 4])
    message = refused(folder)
    assert "train image 1" in message
    assert f"is {side}x{side} pixels, expected at most" in message or "DecompressionBombError" in message


def test_rows_name_images_of_their_own_folder_only(
    write_table: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def rows_of(name: str) -> Path:
        return write_table("train", GOOD, [{"bytes": None, "path": name}] * 6)

    monkeypatch.chdir(tmp_path)
    folder = rows_of("pictures/0.png")
    (folder / "pictures").mkdir()
    (folder / "pictures" / "0.png").write_bytes(picture())
    (tmp_path / "secret.png").write_bytes(picture())
    (folder / "pictures" / "link.png").symlink_to(tmp_path / "secret.png")
    os.mkfifo(folder / "pipe.png")
    assert load(str(folder)).size == (8, 8)
    assert load(str(folder / "train.parquet")).size == (8, 8)
    for name in ("../secret.png", str(tmp_path / "secret.png"), "pictures/link.png", "/etc/hostname", "/none/such"):
        message = refused(rows_of(name))
        assert f"train image 0 ({name}) is outside of the data set's folder {folder}" in message
    # The second would be there, seen from where the command runs.
    for name in ("none.png", "secret.png", "pipe.png", "pictures", "x" * 5000, "a\0b"):
        assert "is missing" in refused(rows_of(name))


def test_an_image_folder_may_be_made_of_links(write_images: Callable[..., None], tmp_path: Path) -> None:
    """As subsets of large data sets are: the user has put them there."""
    write_images(tmp_path / "whole", {"a": 5, "b": 5})
    for name in ("a", "b"):
        (tmp_path / "part" / name).mkdir(parents=True)
        for file in (tmp_path / "whole" / name).iterdir():
            (tmp_path / "part" / name / file.name).symlink_to(file)
    assert len(load(str(tmp_path / "part")).train) == 8


def features(**label: object) -> bytes:
    return json.dumps({"info": {"features": {"image": {"_type": "Image"}, "label": label}}}).encode()


@pytest.mark.parametrize(
    "metadata",
    [
        b"{",
        b'{"info": 3}',
        b'{"info": {"features": 3}}',
        features(_type="Nonsense"),
        features(_type="ClassLabel"),
        features(_type="ClassLabel", names_file=__file__),
        features(_type="ClassLabel", names=3),
        features(_type="ClassLabel", names=["a", "a"]),
        features(_type="Value", dtype="nonsense"),
        b"[" * 100_000,
        b"\xff",
    ],
)
def test_metadata_of_the_hub_are_not_trusted(metadata: bytes, write_table: Callable[..., Path]) -> None:
    message = refused(write_table("train", GOOD * 4, metadata=metadata))
    assert 'train.parquet: its "huggingface" metadata do not describe its columns (' in message


def test_metadata_may_say_nothing(write_table: Callable[..., Path]) -> None:
    for count, metadata in ((3, b"{}"), (4, b'{"info": {"features": {"image": {"_type": "Image"}}}}')):
        assert load(str(write_table("train", GOOD * count, metadata=metadata))).class_names == ("0", "1")
