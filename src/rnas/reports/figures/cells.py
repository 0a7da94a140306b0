"""The drawn cells of a genotype, as Fig. 2 of the paper: nodes, arrows coloured by kind of operation, a legend."""

from __future__ import annotations

import textwrap
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final, Literal

from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.lines import Line2D
from matplotlib.patches import FancyBboxPatch, PathPatch, Polygon
from matplotlib.path import Path as Curve
from matplotlib.textpath import TextPath

from rnas.reports.figures.layout import LABEL_HEIGHT, NODE_SIZE, Layout, Route, arrange
from rnas.reports.figures.palette import KIND_COLOURS, KINDS, operation_kind
from rnas.reports.figures.style import FONT, INK, MUTED, cell_name, drawable, style, write

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from matplotlib.axes import Axes

    from rnas.genotype import Cell, Genotype

__all__ = ["draw_cell", "draw_genotype", "draw_genotypes"]

_POINTS: Final = 72.0  # a point is 1/72 inch
_LABEL_SIZE: Final = 8.5
_MARGIN: Final = 0.12
_TITLE_HEIGHT: Final = 0.36
_LEGEND_HEIGHT: Final = 0.40
_LINE_HEIGHT: Final = 0.20
_LETTERS: Final = 14  # that fit an inch of a heading
_CONCATENATION: Final = "#B5B5B5"
_LEGEND_WIDTH: Final = 6.2
_HEAD: Final = (0.11, 0.05)  # length and half width of an arrow's head


def draw_cell(cell: Cell, *, title: str = "", path: Path | None = None, axes: Axes | None = None) -> Figure:
    """Draw one cell.

    The inputs are named c_{k-2} and c_{k-1} (outputs of the two cells before), the intermediate nodes are numbered
    from 0, the output is c_{k}. Grey arrows are the concatenation.

    Args:
        cell: the cell.
        title: stands above the drawing.
        path: also write the figure here; the suffix (.svg, .png, .pdf) is the format.
        axes: draw into these, scaled to fit, without a legend; by default a figure of the right size is made.

    Returns:
        The figure.

    Raises:
        RunError: if the file cannot be written.
        ValueError: if the axes belong to no figure.
    """
    with style():
        if axes is None:
            figure = _sheet([(title, cell)])
        else:
            layout = arrange(cell, _label_width)
            _draw(axes, cell, layout)
            axes.set_title(drawable(title))
            root = axes.get_figure(root=True)
            if root is None:
                raise ValueError("the axes belong to no figure")
            figure = root
    if path is not None:
        write(figure, path)
    return figure


def draw_genotype(genotype: Genotype, *, title: str = "", path: Path | None = None) -> Figure:
    """Draw the cells of a genotype one below the other, with one legend.

    Args:
        genotype: the genotype.
        title: stands before each cell's name, for example the name of the method that found it.
        path: also write the figure here; the suffix (.svg, .png, .pdf) is the format.

    Returns:
        The figure.

    Raises:
        RunError: if the file cannot be written.
    """
    sheets = []
    for kind, cell in genotype.cells:
        name = cell_name(kind)
        sheets.append((f"{title}: {name}" if title else name[:1].upper() + name[1:], cell))
    with style():
        figure = _sheet(sheets)
    if path is not None:
        write(figure, path)
    return figure


def draw_genotypes(genotypes: Mapping[str, Genotype], *, heading: Sequence[str]) -> Figure:
    """Draw the cells of several genotypes one below the other, with one legend.

    Args:
        genotypes: at least one, by what stands before each cell's name.
        heading: paragraphs above all of them.
    """
    sheets = [
        (f"{title}: {cell_name(kind)}", cell) for title, genotype in genotypes.items() for kind, cell in genotype.cells
    ]
    with style():
        return _sheet(sheets, heading)


def _sheet(cells: list[tuple[str, Cell]], heading: Sequence[str] = ()) -> Figure:
    """A figure as large as its cells need: an inch of the layout is an inch of paper, so text keeps its size."""
    layouts = [arrange(cell, _label_width) for _, cell in cells]
    width = max(_LEGEND_WIDTH, *(layout.width for layout in layouts)) + 2 * _MARGIN
    height = sum(layout.height + _TITLE_HEIGHT + 2 * _MARGIN for layout in layouts) + _LEGEND_HEIGHT
    lines = [line for words in heading for line in textwrap.wrap(drawable(words), round(_LETTERS * width))]
    height += _LINE_HEIGHT * len(lines)
    figure = Figure(figsize=(width, height))
    top = height - _LINE_HEIGHT * len(lines)
    figure.text(_MARGIN / width, 1 - _MARGIN / height, "\n".join(lines), va="top")
    for (title, cell), layout in zip(cells, layouts, strict=True):
        figure.text(
            _MARGIN / width, (top - _MARGIN) / height, drawable(title), fontsize=10.5, fontweight="bold", va="top"
        )
        top -= _TITLE_HEIGHT + layout.height + 2 * _MARGIN
        left = (width - layout.width - 2 * _MARGIN) / 2
        box = (
            left / width,
            top / height,
            (layout.width + 2 * _MARGIN) / width,
            (layout.height + 2 * _MARGIN) / height,
        )
        _draw(figure.add_axes(box), cell, layout)
    used = {operation_kind(edge.op) for _, cell in cells for node in cell.nodes for edge in node}
    figure.legend(handles=_legend(used), loc="lower center", ncols=6, bbox_to_anchor=(0.5, 0.0), handlelength=1.8)
    return figure


def _legend(used: Iterable[str]) -> list[Line2D]:
    handles = [
        Line2D([], [], color=KIND_COLOURS[kind], linewidth=2, linestyle=_dash(kind), label=kind)
        for kind in KINDS
        if kind in used
    ]
    return [*handles, Line2D([], [], color=_CONCATENATION, linewidth=1.2, label="concatenation")]


def _dash(kind: str) -> Literal["-", "--"]:
    return "--" if kind == "none" else "-"


@lru_cache(maxsize=256)
def _label_width(name: str) -> float:
    text = TextPath((0, 0), drawable(name), size=_LABEL_SIZE, prop=FontProperties(family=FONT))
    return float(text.get_extents().width) / _POINTS + 0.14


def _draw(axes: Axes, cell: Cell, layout: Layout) -> None:
    axes.set_xlim(-_MARGIN, layout.width + _MARGIN)
    axes.set_ylim(-_MARGIN, layout.height + _MARGIN)
    axes.set_aspect("equal")
    axes.set_axis_off()
    # In axes of another size the text shrinks or grows with the drawing.
    extent = axes.get_window_extent()
    dpi = axes.figure.dpi
    scale = min(extent.width / dpi / (layout.width + 2 * _MARGIN), extent.height / dpi / (layout.height + 2 * _MARGIN))
    for route in sorted(layout.routes, key=lambda route: route.op is not None):
        _draw_route(axes, route, scale)
    for route in layout.routes:
        if route.op is not None and route.label is not None:
            _draw_label(axes, route.op, route.label, scale)
    connected = {route.target for route in layout.routes if route.op is not None}
    for index, centre in enumerate(layout.nodes):
        inner = cell.inputs <= index < len(layout.nodes) - 1
        _draw_node(axes, _node_name(cell, index), centre, scale, inner=inner, alone=inner and index not in connected)


def _node_name(cell: Cell, index: int) -> str:
    if index < cell.inputs:
        return f"$c_{{k-{cell.inputs - index}}}$"
    if index == cell.inputs + len(cell.nodes):
        return "$c_{k}$"
    return str(index - cell.inputs)


def _draw_route(axes: Axes, route: Route, scale: float) -> None:
    """A line that is level in the columns and bends between them, and a head that is level, as the line's end is."""
    colour = _CONCATENATION if route.op is None else KIND_COLOURS[operation_kind(route.op)]
    dash = "-" if route.op is None else _dash(operation_kind(route.op))
    width = (1.1 if route.op is None else 1.8) * scale
    length, half = _HEAD
    points = list(route.points)
    tip = points[-1]
    points[-1] = (tip[0] - length * 0.8, tip[1])
    vertices, codes = [points[0]], [Curve.MOVETO]
    for index, (here, there) in enumerate(pairwise(points)):
        if index % 2 == 0:
            vertices.append(there)
            codes.append(Curve.LINETO)
        else:
            middle = (here[0] + there[0]) / 2
            vertices += [(middle, here[1]), (middle, there[1]), there]
            codes += [Curve.CURVE4] * 3
    axes.add_patch(
        PathPatch(
            Curve(vertices, codes), fill=False, edgecolor=colour, linewidth=width, linestyle=dash, capstyle="butt"
        )
    )
    head = [tip, (tip[0] - length, tip[1] + half), (tip[0] - length, tip[1] - half)]
    axes.add_patch(Polygon(head, closed=True, facecolor=colour, edgecolor="none"))


def _draw_box(axes: Axes, centre: tuple[float, float], size: tuple[float, float], rounding: float, **look: Any) -> None:
    """Draw a box with round corners around a point; sizes are in inches."""
    corner = (centre[0] - size[0] / 2, centre[1] - size[1] / 2)
    style = f"round,pad=0,rounding_size={rounding}"
    axes.add_patch(FancyBboxPatch(corner, *size, boxstyle=style, zorder=3, **look))


def _draw_label(axes: Axes, op: str, centre: tuple[float, float], scale: float) -> None:
    colour = KIND_COLOURS[operation_kind(op)]
    size = (_label_width(op), LABEL_HEIGHT)
    _draw_box(axes, centre, size, 0.06, facecolor="white", edgecolor=colour, linewidth=0.9 * scale)
    axes.text(*centre, drawable(op), fontsize=_LABEL_SIZE * scale, ha="center", va="center_baseline", zorder=4)


def _draw_node(axes: Axes, name: str, centre: tuple[float, float], scale: float, *, inner: bool, alone: bool) -> None:
    """Inputs and output are tinted; a node that no operation reaches has a broken outline."""
    look = {"facecolor": "white" if inner else "#EDEFF2", "linestyle": "--" if alone else "-"}
    _draw_box(axes, centre, (NODE_SIZE, NODE_SIZE), 0.1, edgecolor=MUTED, linewidth=1.1 * scale, **look)
    text = axes.text(*centre, name, fontsize=10 * scale, ha="center", va="center", color=INK, zorder=4)
    text.set_parse_math(name.startswith("$"))
