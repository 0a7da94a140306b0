"""The house style of every figure, and how one becomes files and part of a page.

The style is set for the length of a `with` block and then undone: a report leaves the caller's matplotlib as it was.
"""

from __future__ import annotations

import base64
import io
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import matplotlib.style
from matplotlib.ticker import MaxNLocator

from rnas.errors import RunError
from rnas.run.files import make_folder, write_atomically

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["FONT", "INK", "MUTED", "cell_name", "drawable", "save", "step_axis", "style", "write"]

FONT: Final = "DejaVu Sans"  # comes with matplotlib, so that text has the same width everywhere
INK: Final = "#222222"
MUTED: Final = "#6B6B6B"

_SETTINGS: Final = {
    "font.family": FONT,
    "font.size": 9.0,
    "axes.titlesize": 9.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": 9.0,
    "axes.labelcolor": INK,
    "axes.edgecolor": "#9A9A9A",
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#E6E6E6",
    "grid.linewidth": 0.7,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "lines.linewidth": 1.5,
    "text.color": INK,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelsize": 8.0,
    "ytick.labelsize": 8.0,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    # A name with a dollar in it is a name, not a formula.
    "text.parse_math": False,
    # The identifiers inside an SVG are derived from this instead of from chance.
    "svg.hashsalt": "rnas",
    "svg.fonttype": "path",
}


@contextmanager
def style() -> Iterator[None]:
    """Matplotlib's defaults and this package's style on top, until the block ends."""
    with matplotlib.style.context(["default", dict(_SETTINGS)]):
        yield


def drawable(text: str) -> str:
    """Text that the figures' font can draw: what is not Latin or not printable becomes a question mark."""
    return "".join(letter if letter.isprintable() and ord(letter) < 0x250 else "?" for letter in text)


def cell_name(kind: str) -> str:
    """How a kind of cell is called in words: ``"reduce"`` is the reduction cell."""
    return {"reduce": "reduction cell", "cell": "cell"}.get(kind, drawable(f"{kind} cell"))


def step_axis(axes: Axes, label: str = "step") -> None:
    """Make the horizontal axis count whole steps."""
    axes.set_xlabel(label)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=5, integer=True))


def write(figure: Figure, path: Path) -> Path:
    """Write a figure to a file whose suffix is its format; the same figure gives the same bytes.

    Raises:
        RunError: if the format is not one that matplotlib writes, or the file cannot be written.
    """
    kind = path.suffix.removeprefix(".").lower()
    known = figure.canvas.get_supported_filetypes()
    if kind not in known:
        raise RunError(f"{path}: no figure format is called {kind!r} (choices: {', '.join(sorted(known))})")
    make_folder(path.parent)
    write_atomically(path, _encode(figure, kind))
    return path


def save(figure: Figure, folder: Path, name: str) -> str:
    """Write ``NAME.png`` and ``NAME.svg`` into a folder.

    Args:
        figure: the figure.
        folder: is made where it does not exist.
        name: of both files, without a suffix.

    Returns:
        The SVG as a ``data:`` address, for a page that asks nothing of the network; inside one, its identifiers cannot
        meet those of the page's other figures.
    """
    svg = _encode(figure, "svg")
    make_folder(folder)
    write_atomically(folder / f"{name}.png", _encode(figure, "png"))
    write_atomically(folder / f"{name}.svg", svg)
    return "data:image/svg+xml;base64," + base64.b64encode(svg).decode("ascii")


def _encode(figure: Figure, kind: str) -> bytes:
    # What the formats would otherwise record: the time, and the program's version.
    metadata: dict[str, dict[str, str | None]] = {
        "svg": {"Date": None, "Creator": None},
        "png": {"Software": None},
        "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
    }
    buffer = io.BytesIO()
    with style():
        figure.savefig(buffer, format=kind, dpi=160, metadata=metadata.get(kind))
    return buffer.getvalue()
