"""Adversarial images as a figure: the image, what the attack changed, the result, and what the model says."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from matplotlib.figure import Figure
from safetensors import SafetensorError
from safetensors.numpy import load

from rnas.errors import RunError
from rnas.reports.figures.style import INK, MUTED, drawable, style
from rnas.reports.wording import describe_distance
from rnas.run.files import MEBIBYTE, read_bytes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from numpy.typing import NDArray

__all__ = ["MOST", "SavedImages", "adversarial_figure", "adversarial_files", "class_name", "read_images", "show_image"]

MOST: Final = 10  # images in a figure: more are kept, but would be too small to see
LARGEST: Final = 16 * 1024 * MEBIBYTE  # of a file of images
_LETTERS: Final = 9  # of a class's name: more are wider than a small image
_ROWS: Final = ("clean", "change", "adversarial")
_FALLEN: Final = "#D55E00"


@dataclass(frozen=True)
class SavedImages:
    """The content of a file of adversarial images.

    Args:
        clean: (N, H, W, C), in [0, 1].
        adversarial: likewise.
        labels: the classes, N integers.
        before: those predicted for the clean images.
        after: those predicted for the adversarial ones.
    """

    clean: NDArray[np.float32]
    adversarial: NDArray[np.float32]
    labels: list[int]
    before: list[int]
    after: list[int]


def read_images(path: Path) -> SavedImages:
    """Read a file with the tensors `label`, `clean_prediction`, `prediction` (N,), `clean` and `adversarial`.

    Args:
        path: the file; its images are (N, C, H, W) in [0, 1].

    Raises:
        RunError: if the file cannot be read or holds something else.
    """
    try:
        file = load(read_bytes(path, limit=LARGEST))
        clean, adversarial = (file[name].transpose(0, 2, 3, 1) for name in ("clean", "adversarial"))
        labels, before, after = (file[name].tolist() for name in ("label", "clean_prediction", "prediction"))
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        raise RunError(f"{path} is damaged or no file of adversarial images ({error})") from error
    return SavedImages(clean, adversarial, labels, before, after)


def class_name(label: int, names: Sequence[str]) -> str:
    """A class's name in few letters; its number where it has no name, as the classes of a foreign model."""
    if not 0 <= label < len(names):
        return str(label)
    name = drawable(names[label].replace("_", " "))
    return name if len(name) <= _LETTERS else f"{name[: _LETTERS - 1].rstrip()}."


def show_image(axes: Axes, image: NDArray[np.float32], below: str = "", *, wrong: bool = False) -> None:
    """Draw an image (H, W, C), and below it the class predicted for it, bold where it is wrong."""
    axes.imshow(
        np.clip(image[..., 0] if image.shape[-1] == 1 else image, 0, 1),
        cmap="gray",
        vmin=0,
        vmax=1,
        interpolation="nearest",
    )
    axes.axis("on")
    axes.set(xticks=[], yticks=[])
    axes.grid(visible=False)
    axes.set_xlabel(
        below,
        color=_FALLEN if wrong else MUTED,
        fontweight="bold" if wrong else "normal",
        fontsize=_font_size(below),
    )


def _font_size(text: str) -> float:
    """Names are written smaller than numbers, so that neighbours do not touch."""
    return 9.0 if text.isdecimal() else 7.5


def adversarial_files(folder: Path) -> list[Path]:
    """The files of adversarial images of a model's folder, one an attack."""
    return sorted(folder.glob("adversarial/*.safetensors"))


def adversarial_figure(path: Path, names: Sequence[str] = ()) -> tuple[Figure, str]:
    """Draw the first images of a file, a column each.

    Args:
        path: a file that `read_images` takes.
        names: what the classes are called, in the order of the labels; empty if they are only numbered.

    Returns:
        The figure, and in words what it shows.

    Raises:
        RunError: if the file cannot be read or holds something else.
    """
    saved = read_images(path)
    count = min(MOST, len(saved.labels))
    change = saved.adversarial[:count] - saved.clean[:count]
    largest = float(np.abs(change).max())
    images = (saved.clean[:count], 0.5 + change / (2 * (largest or 1.0)), saved.adversarial[:count])
    with style():
        width = 0.95 + 0.82 * count
        figure = Figure(figsize=(width, 3.3))
        grid = figure.subplots(len(_ROWS), count, squeeze=False)
        figure.subplots_adjust(left=0.95 / width, right=0.995, top=0.91, bottom=0.09, wspace=0.08, hspace=0.28)
        for axes_row, name, pictures in zip(grid, _ROWS, images, strict=True):
            axes_row[0].set_ylabel(name, rotation=0, ha="right", va="center", color=INK)
            predicted = {_ROWS[0]: saved.before, _ROWS[-1]: saved.after}.get(name)
            for column, (axes, picture) in enumerate(zip(axes_row, pictures, strict=True)):
                below = "" if predicted is None else class_name(predicted[column], names)
                wrong = predicted is not None and predicted[column] != saved.labels[column]
                show_image(axes, picture, below, wrong=wrong)
        for axes, label in zip(grid[0], saved.labels, strict=False):
            text = class_name(label, names)
            axes.set_title(text, color=INK, loc="center", fontweight="normal", fontsize=_font_size(text), pad=4)
        # Beside the row of classes, which would otherwise read as predictions.
        grid[0, 0].annotate(
            "true class",
            (0, 1),
            xytext=(-4, 6),
            xycoords="axes fraction",
            textcoords="offset points",
            ha="right",
            fontsize=8,
            color=INK,
        )
    number = len(saved.labels)
    shown = f"{count} of the {number} saved images" if number > count else _counted(number)
    words = (
        f"{shown}, each under its true class: above the image and the class predicted for it, below the adversarial "
        f"image and its prediction (bold where it is wrong); between them the change{_amplified(largest)}"
    )
    # Some attacks give back their best try when they fail, others the image itself, which then looks like an error.
    kept = [after == label for label, after in zip(saved.labels[:count], saved.after, strict=False)]
    unchanged = int((np.array(kept) & ~change.any(axis=(1, 2, 3))).sum())
    if unchanged:
        words += f"; the attack failed on {_counted(unchanged)} and returned the image itself"
    return figure, words


def _counted(number: int) -> str:
    return "1 image" if number == 1 else f"{number} images"


def _amplified(largest: float) -> str:
    """Say how the figure shows changes: the largest, this one, is drawn black or white."""
    if not largest:
        return ": grey is none"
    times = 1 / (2 * largest)
    factor = f"{times:.0f}" if times >= 10 else f"{times:.2g}"
    return f", {factor} times amplified: grey is none, the largest is {describe_distance(largest, 3)}"
