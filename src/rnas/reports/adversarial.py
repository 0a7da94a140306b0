"""Adversarial images as a figure: the image, what the attack changed, the result, and what the model says."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from matplotlib.figure import Figure
from safetensors import SafetensorError
from safetensors.numpy import load_file

from rnas.errors import RunError
from rnas.reports.figures import INK, MUTED, style

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["MOST", "adversarial_figure", "adversarial_files"]

MOST: Final = 10  # images in a figure: more are kept, but would be too small to see
_ROWS: Final = ("clean", "change", "adversarial")
_FALLEN: Final = "#D55E00"


def adversarial_files(folder: Path) -> list[Path]:
    """The files of adversarial images of a model's folder, one an attack."""
    return sorted(folder.glob("adversarial/*.safetensors"))


def adversarial_figure(path: Path) -> tuple[Figure, str]:
    """Draw the first images of a file, a column each.

    Args:
        path: a file with the tensors `label`, `clean_prediction`, `prediction` (N,), `clean` and `adversarial`
            (N, C, H, W) in [0, 1].

    Returns:
        The figure, and in words what it shows.

    Raises:
        RunError: if the file cannot be read or holds something else.
    """
    try:
        file = load_file(path)
        clean, adversarial = (file[name][:MOST].transpose(0, 2, 3, 1) for name in ("clean", "adversarial"))
        labels, before, after = (file[name][:MOST].tolist() for name in ("label", "clean_prediction", "prediction"))
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        raise RunError(f"{path} is damaged or no file of adversarial images ({error})") from error
    change = adversarial - clean
    largest = float(np.abs(change).max())
    images = (clean, 0.5 + change / (2 * (largest or 1.0)), adversarial)
    with style():
        figure = Figure(figsize=(0.95 + 0.82 * len(labels), 3.1))
        grid = figure.subplots(len(_ROWS), len(labels), squeeze=False)
        figure.subplots_adjust(left=0.95 / (0.95 + 0.82 * len(labels)), right=0.995, top=0.91, bottom=0.09, wspace=0.08)
        for axes_row, name, pictures in zip(grid, _ROWS, images, strict=True):
            axes_row[0].set_ylabel(name, rotation=0, ha="right", va="center", color=INK)
            for axes, picture in zip(axes_row, pictures, strict=True):
                axes.imshow(_drawable(picture), cmap="gray", vmin=0, vmax=1, interpolation="nearest")
                axes.set(xticks=[], yticks=[])
                axes.grid(visible=False)
        for column, (label, first, second) in enumerate(zip(labels, before, after, strict=True)):
            grid[0][column].set_title(f"{first}", color=INK, loc="center", fontweight="normal")
            fallen = second != label
            grid[-1][column].set_xlabel(
                f"{second}", color=_FALLEN if fallen else MUTED, fontweight="bold" if fallen else "normal"
            )
    number = len(file["label"])
    shown = f"{len(labels)} of the {number} saved images" if number > len(labels) else f"{number} images"
    words = (
        f"{shown}: above the image and the class predicted for it, below the adversarial image and its prediction "
        f"(bold where it is wrong); between them the change: grey is none, the largest is {largest:.3g}"
    )
    return figure, words


def _drawable(image: NDArray[np.float32]) -> NDArray[np.float32]:
    """(H, W) of a grey image, (H, W, 3) of a colour one."""
    return np.clip(image[..., 0] if image.shape[-1] == 1 else image, 0, 1)
