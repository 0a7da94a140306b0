"""One image: from its bytes or its file to pixels, with no more of Pillow than a data set needs."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from rnas.data.sources import one_line
from rnas.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["FORMATS", "fit", "read_picture", "size"]

#: Others are not tried: whatever a file is called, Pillow would hand it to any of its decoders, Ghostscript included.
FORMATS = ("PNG", "JPEG", "BMP", "GIF", "WEBP", "TIFF", "PPM")
#: A few hundred kB can decode to gigabytes.
MOST_PIXELS = 2**26

GRAY = {"1", "L", "LA"}
COLOUR = {"RGB", "RGBA", "RGBX", "P", "PA", "CMYK", "YCbCr", "HSV", "LAB"}


def read_picture(value: dict[str, Any] | None, where: str, folders: Sequence[Path] | None) -> NDArray[np.uint8]:
    """Decode one image, turned upright as its EXIF data say.

    Args:
        value: its "bytes" or, where these are None, its "path".
        where: how an error begins.
        folders: where a path has to lead, a relative one being in the first of them; None allows any.

    Returns:
        Shape (H, W, 1) if it is gray, else (H, W, 3).

    Raises:
        DataError: if it is missing, outside of the folders, damaged, of another format, too large, or not of 8 bits.
    """
    content, name = (value["bytes"], value["path"]) if value else (None, None)
    source = find_picture(name, where, folders) if content is None else io.BytesIO(content)
    try:
        with Image.open(source, formats=FORMATS) as image:
            if image.width * image.height > MOST_PIXELS:
                raise DataError(
                    f"{where} is {image.width}x{image.height} pixels, expected at most {MOST_PIXELS} in all"
                )
            if image.mode not in GRAY | COLOUR:
                raise DataError(f"{where} has pixels of mode {image.mode}, expected 8 bits a channel")
            image.load()
            turned = ExifTags.Base.Orientation in image.getexif()
            upright = ImageOps.exif_transpose(image) if turned else image
            if upright.mode in ("P", "PA"):
                # Straight to RGB, Pillow warns about palettes with transparency.
                upright = upright.convert("RGBA")
            pixels = np.asarray(upright.convert("L" if upright.mode in GRAY else "RGB"))
    except DataError:
        raise
    except UnidentifiedImageError as error:
        raise DataError(f"{where} cannot be decoded (expected one of {', '.join(FORMATS)})") from error
    except Exception as error:  # A damaged file makes the decoders raise nearly anything.
        raise DataError(f"{where} cannot be decoded ({one_line(error)})") from error
    return pixels.reshape(*pixels.shape[:2], -1)


def find_picture(name: str | None, where: str, folders: Sequence[Path] | None) -> Path:
    """The file that a row names instead of holding the image; never an address, and nothing outside of the folders."""
    if not name:
        raise DataError(f"{where} is missing (neither bytes nor a file)")
    try:
        path = Path(name) if folders is None else Path(folders[0], name)
        if folders is not None and not any(path.resolve().is_relative_to(folder.resolve()) for folder in folders):
            raise DataError(f"{where} is outside of the data set's folder {folders[0]}, from where no image is read")
        if path.is_file():
            return path
    except (OSError, ValueError, RuntimeError) as error:  # a name that no file can have
        raise DataError(f"{where} is missing ({one_line(error)})") from error
    raise DataError(f"{where} is missing (neither bytes nor a file)")


def fit(pixels: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """Resize an image by its short side and crop it around the centre.

    Args:
        pixels: shape (H, W, C), C 1 or 3.
        side: height and width of the result, > 0.

    Returns:
        Shape (side, side, C): means of the pixels that fall together; linear interpolation of an image that is smaller.
    """
    method = Image.Resampling.BOX if side <= min(pixels.shape[:2]) else Image.Resampling.BILINEAR
    image = Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)
    return np.asarray(ImageOps.fit(image, (side, side), method)).reshape(side, side, -1)


def size(shape: tuple[int, ...]) -> str:
    """A shape (H, W, ...) in words."""
    return f"{shape[1]}x{shape[0]} pixels"
