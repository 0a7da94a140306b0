"""Adversarial images as a figure: the image, what the attack changed, the result, and what the model says."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from matplotlib.figure import Figure
from safetensors import SafetensorError
from safetensors.numpy import load_file

from rnas.errors import RunError
from rnas.reports.figures import INK, MUTED, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

__all__ = ["MOST", "SavedImages", "adversarial_figure", "adversarial_files", "read_images", "show_image"]

MOST: Final = 10  # images in a figure: more are kept, but would be too small to see
_ROWS: Final = ("clean", "change", "adversarial")
_FALLEN: Final = "#D55E00"


@dataclass(frozen=True)
class SavedImages:
    """What a file of adversarial images holds.

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
        file = load_file(path)
        clean, adversarial = (file[name].transpose(0, 2, 3, 1) for name in ("clean", "adversarial"))
        labels, before, after = (file[name].tolist() for name in ("label", "clean_prediction", "prediction"))
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        raise RunError(f"{path} is damaged or no file of adversarial images ({error})") from error
    return SavedImages(clean, adversarial, labels, before, after)


def show_image(axes: Axes, image: NDArray[np.float32], below: int | None = None, *, wrong: bool = False) -> None:
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
    if below is not None:
        axes.set_xlabel(f"{below}", color=_FALLEN if wrong else MUTED, fontweight="bold" if wrong else "normal")


def adversarial_files(folder: Path) -> list[Path]:
    """The files of adversarial images of a model's folder, one an attack."""
    return sorted(folder.glob("adversarial/*.safetensors"))


def adversarial_figure(path: Path) -> tuple[Figure, str]:
    """Draw the first images of a file, a column each.

    Args:
        path: a file that `read_images` takes.

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
        figure = Figure(figsize=(width, 3.1))
        grid = figure.subplots(len(_ROWS), count, squeeze=False)
        figure.subplots_adjust(left=0.95 / width, right=0.995, top=0.91, bottom=0.09, wspace=0.08)
        for axes_row, name, pictures in zip(grid, _ROWS, images, strict=True):
            axes_row[0].set_ylabel(name, rotation=0, ha="right", va="center", color=INK)
            for axes, picture, label, after in zip(axes_row, pictures, saved.labels, saved.after, strict=False):
                show_image(axes, picture, after if name == _ROWS[-1] else None, wrong=after != label)
        for axes, before in zip(grid[0], saved.before, strict=False):
            axes.set_title(f"{before}", color=INK, loc="center", fontweight="normal")
    number = len(saved.labels)
    shown = f"{count} of the {number} saved images" if number > count else f"{number} images"
    words = (
        f"{shown}: above the image and the class predicted for it, below the adversarial image and its prediction "
        f"(bold where it is wrong); between them the change: grey is none, the largest is {largest:.3g}"
    )
    return figure, words
