"""Common corruptions as figures: the accuracy under each at every severity, and what one image becomes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from matplotlib.figure import Figure

from rnas.reports.figures.adversarial import class_name, read_images, show_image
from rnas.reports.figures.style import INK, MUTED, drawable, style

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from rnas.run.results import ModelResults

__all__ = ["corrupted_figure", "corruptions_figure"]

NAME: Final = "corruptions"


def corruptions_figure(models: Sequence[ModelResults]) -> Figure | None:
    """Draw each model's accuracy under every corruption (rows) at every severity (columns).

    Args:
        models: with or without such results.

    Returns:
        The figure; None if no model was tried on corruptions.
    """
    tables = [(model, found.parts) for model in models if (found := model.attack(NAME)) is not None and found.parts]
    if not tables:
        return None
    names, severities = _members(tables[0][1])
    height, width = 0.75 + 0.24 * len(names), 1.3 + 2.5 * len(tables)
    with style():
        figure = Figure(figsize=(width, height))
        panels = figure.subplots(1, len(tables), squeeze=False, sharey=True)[0]
        figure.subplots_adjust(left=1.2 / width, right=0.99, top=1 - 0.3 / height, bottom=0.42 / height, wspace=0.06)
        for axes, (model, parts) in zip(panels, tables, strict=True):
            shares = np.array([[parts.get(f"{name}/{severity}", np.nan) for severity in severities] for name in names])
            axes.imshow(shares, cmap="Blues", vmin=0, vmax=1, aspect="auto")
            axes.grid(visible=False)
            axes.tick_params(length=0, labelcolor=INK)
            axes.set_xticks(range(len(severities)), severities)
            axes.set_yticks(range(len(names)), [_words(name) for name in names])
            axes.set_xlabel("severity")
            axes.set_title(drawable(model.name))
            for (row, column), share in np.ndenumerate(shares):
                if not np.isnan(share):
                    colour = "white" if share > 0.6 else INK
                    axes.text(column, row, f"{100 * share:.1f}", ha="center", va="center", fontsize=7.5, color=colour)
    return figure


def corrupted_figure(folder: Path, classes: Sequence[str] = ()) -> tuple[Figure, str] | None:
    """Draw what the corruptions make of the first image that was saved.

    Args:
        folder: of a model; corrupted images are in ``adversarial/corruptions/NAME/SEVERITY.safetensors``.
        classes: what they are called, in the order of the labels; empty if they are only numbered.

    Returns:
        The figure, and in words what it shows; None if none were saved.

    Raises:
        RunError: if a file cannot be read or holds something else.
    """
    root = folder / "adversarial" / NAME
    files = {f"{path.parent.name}/{path.stem}": path for path in sorted(root.glob("*/*.safetensors"))}
    if not files:
        return None
    names, severities = _members(files)
    with style():
        figure = Figure(figsize=(0.75 * (1 + len(names)), 0.35 + 0.93 * len(severities)))
        grid = figure.subplots(len(severities), 1 + len(names), squeeze=False)
        figure.subplots_adjust(left=0.01, right=0.995, top=0.91, bottom=0.05, wspace=0.08, hspace=0.3)
        for axes in grid.flat:
            axes.axis("off")
        for part, path in files.items():
            name, _, severity = part.partition("/")
            saved = read_images(path)
            label, before, after = saved.labels[0], saved.before[0], saved.after[0]
            axes = grid[severities.index(severity), 1 + names.index(name)]
            show_image(axes, saved.adversarial[0], class_name(after, classes), wrong=after != label)
            show_image(grid[0, 0], saved.clean[0], class_name(before, classes), wrong=before != label)
        for axes, title in zip(grid[0], ["clean", *map(_words, names)], strict=True):
            axes.set_title(title.replace(" ", "\n"), color=MUTED, loc="center", fontweight="normal", fontsize=8)
    words = (
        f"one image of class {class_name(label, classes)}, from severity {severities[0]} (above) to "
        f"{severities[-1]} (below), and the class predicted for it "
        "(bold where it is wrong)"
    )
    return figure, words


def _members(parts: Mapping[str, object]) -> tuple[list[str], list[str]]:
    """Names and severities in "fog/1" and the like."""
    pairs = [part.partition("/") for part in parts]
    return list(dict.fromkeys(name for name, _, _ in pairs)), sorted({severity for _, _, severity in pairs})


def _words(name: str) -> str:
    return drawable(name.replace("_", " "))
