"""Drawn cells: nothing overlaps, every edge is there, whatever the cell."""

import itertools
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.figure import Figure
from matplotlib.text import Text

import rnas
from rnas.errors import RunError
from rnas.genotype import Cell, Edge, Genotype
from rnas.reports import draw_cell, draw_genotype
from rnas.reports.figures.layout import LABEL_HEIGHT, NODE_SIZE, Layout, arrange

Box = tuple[float, float, float, float]


@st.composite
def cells(draw: st.DrawFn) -> Cell:
    inputs = draw(st.integers(1, 3))
    count = draw(st.integers(1, 5))
    operations = st.sampled_from(["skip_connect", "sep_conv_3x3", "none", "max_pool_3x3", "something_else"])
    nodes = tuple(
        tuple(
            Edge(draw(operations), source)
            for source in draw(st.lists(st.integers(0, inputs + node - 1), min_size=0, max_size=3))
        )
        for node in range(count)
    )
    return Cell(nodes, tuple(range(inputs, inputs + count)), inputs)


ONE_INPUT = Cell(
    (
        (Edge("nor_conv_3x3", 0),),
        (Edge("nor_conv_3x3", 0), Edge("skip_connect", 1)),
        (Edge("avg_pool_3x3", 0), Edge("none", 1), Edge("nor_conv_1x1", 2)),
    ),
    (3,),
    inputs=1,
)


def published() -> list[tuple[str, Genotype]]:
    document = json.loads((Path(rnas.__file__).parent / "networks" / "genotypes.json").read_text(encoding="utf-8"))
    return [(name, Genotype.from_json(json.dumps({"cells": entry["cells"]}))) for name, entry in document.items()]


def width(name: str) -> float:
    return 0.08 * len(name) + 0.14


def boxes(layout: Layout) -> list[Box]:
    """The rectangles of nodes and labels: left, bottom, right, top."""
    half = NODE_SIZE / 2
    found = [(x - half, y - half, x + half, y + half) for x, y in layout.nodes]
    for route in layout.routes:
        if route.label is not None and route.op is not None:
            x, y = route.label
            found.append((x - width(route.op) / 2, y - LABEL_HEIGHT / 2, x + width(route.op) / 2, y + LABEL_HEIGHT / 2))
    return found


def overlap(one: Box, other: Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def check(cell: Cell) -> None:
    layout = arrange(cell, width)
    for one, other in itertools.combinations(boxes(layout), 2):
        assert not overlap(one, other)
    edges: list[tuple[int, int, str | None]] = [
        (edge.source, target, edge.op) for target, edges_in in enumerate(cell.nodes, cell.inputs) for edge in edges_in
    ]
    output = cell.inputs + len(cell.nodes)
    edges += [(source, output, None) for source in cell.concat]
    assert [(route.source, route.target, route.op) for route in layout.routes] == edges
    for route in layout.routes:
        left = [x for x, _ in route.points]
        assert left == sorted(left)
        assert layout.nodes[route.source][0] < layout.nodes[route.target][0]
        # Along its level pieces an edge keeps clear of every label but its own, and of every node between its ends.
        for (x, y), (end, _) in zip(route.points[::2], route.points[1::2], strict=True):
            for another in layout.routes:
                if another is not route and another.label is not None and x <= another.label[0] <= end:
                    assert abs(another.label[1] - y) > LABEL_HEIGHT / 2
            for node in layout.nodes:
                if x < node[0] < end:
                    assert abs(node[1] - y) > NODE_SIZE / 2
        if route.label is not None:
            assert any(y == pytest.approx(route.label[1]) for _, y in route.points)
    # Two edges between the same nodes go apart.
    assert len({route.points for route in layout.routes}) == len(layout.routes)
    heights = [y for _, y in layout.nodes]
    assert 0 <= min(heights) < layout.height
    assert max(heights) <= layout.height
    if cell.inputs == 2:
        assert heights[0] > heights[1]


@given(cells())
@settings(max_examples=25, deadline=None)
def test_nothing_overlaps_in_any_cell(cell: Cell) -> None:
    check(cell)


@pytest.mark.parametrize(("name", "genotype"), published())
def test_nothing_overlaps_in_published_cells(name: str, genotype: Genotype) -> None:
    for _, cell in genotype.cells:
        check(cell)
    assert name


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.findobj(Text) if isinstance(text, Text) and text.get_text()]


def test_every_operation_and_node_is_named() -> None:
    shown = texts(draw_cell(ONE_INPUT, title="a cell"))
    for node in ONE_INPUT.nodes:
        for edge in node:
            assert edge.op in shown
    assert {"a cell", "$c_{k-1}$", "0", "1", "2", "$c_{k}$"} <= set(shown)
    assert shown.count("nor_conv_3x3") == 2
    assert {"convolution", "pooling", "identity", "none", "concatenation"} <= set(shown)


def test_labels_are_as_wide_as_their_text() -> None:
    figure = draw_cell(ONE_INPUT)
    axes = figure.axes[0]
    renderer = figure.canvas.get_renderer() if hasattr(figure.canvas, "get_renderer") else None
    names = [text for text in axes.texts if "_" in text.get_text() and "$" not in text.get_text()]
    assert len(names) == 5
    for one, other in itertools.combinations(names, 2):
        assert not one.get_window_extent(renderer).overlaps(other.get_window_extent(renderer))


def test_nodes_without_edges_are_drawn() -> None:
    cell = Cell(((), (Edge("sep_conv_3x3", 0), Edge("sep_conv_3x3", 0)), ()), (2, 3, 4))
    check(cell)
    assert texts(draw_cell(cell)).count("sep_conv_3x3") == 2


def test_draws_into_given_axes_and_files(tmp_path: Path) -> None:
    figure = Figure()
    axes = figure.subplots()
    assert draw_cell(ONE_INPUT, title="here", axes=axes) is figure
    assert axes.get_title(loc="left") == "here"
    genotype = Genotype({"normal": ONE_INPUT, "reduce": ONE_INPUT})
    for suffix in ("svg", "png", "pdf"):
        draw_genotype(genotype, title="x", path=tmp_path / "new" / f"one.{suffix}")
        draw_genotype(genotype, title="x", path=tmp_path / f"two.{suffix}")
        assert (tmp_path / "new" / f"one.{suffix}").read_bytes() == (tmp_path / f"two.{suffix}").read_bytes()
    with pytest.raises(RunError, match=r"no figure format is called 'bmpp'.*svg"):
        draw_genotype(genotype, path=tmp_path / "cells.bmpp")


def test_a_name_with_dollars_is_no_formula(tmp_path: Path) -> None:
    cell = Cell(((Edge("$\\frac{$ \u4e2d", 0),),), (1,), inputs=1)
    figure = draw_cell(cell, title="$x^$", path=tmp_path / "cell.svg")
    assert "$\\frac{$ ?" in texts(figure)
