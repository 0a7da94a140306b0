"""The space of NAS-Bench-201: its notation, its graph, and the sizes that were published."""

import itertools
import re
import subprocess
import sys

import pytest

from rnas.errors import GenotypeError
from rnas.genotype import Cell, Edge, Genotype
from rnas.spaces import nasbench201 as space

PUBLISHED = "|nor_conv_3x3~0|+|nor_conv_3x3~0|avg_pool_3x3~1|+|skip_connect~0|nor_conv_3x3~1|skip_connect~2|"
ALL_CELLS = tuple(space.all_cells())


def test_the_space_has_the_published_number_of_cells() -> None:
    assert len(set(ALL_CELLS)) == len(ALL_CELLS) == 15625
    assert set(space.PATHS) == {(3,), (0, 4), (1, 5), (0, 2, 5)}
    for path in space.PATHS:
        sources, targets = zip(*(space.EDGES[edge] for edge in path), strict=True)
        assert (sources[0], targets[-1]) == (0, 3)
        assert sources[1:] == targets[:-1]


def test_every_cell_survives_its_string_and_every_tenth_its_genotype() -> None:
    strings = [space.format_operations(cell) for cell in ALL_CELLS]
    assert len(set(strings)) == len(ALL_CELLS)
    assert tuple(map(space.parse_operations, strings)) == ALL_CELLS
    for text in strings[::10]:
        genotype = space.parse_genotype(text)
        assert space.format_genotype(Genotype.from_json(genotype.to_json())) == text


def test_the_published_example_means_what_the_benchmark_says() -> None:
    cell = space.parse_genotype(PUBLISHED)["cell"]
    assert (cell.inputs, cell.concat) == (1, (3,))
    assert cell.nodes == (
        (Edge("nor_conv_3x3", 0),),
        (Edge("nor_conv_3x3", 0), Edge("avg_pool_3x3", 1)),
        (Edge("skip_connect", 0), Edge("nor_conv_3x3", 1), Edge("skip_connect", 2)),
    )


def test_the_order_of_edges_within_a_node_does_not_matter() -> None:
    cell = space.parse_genotype(PUBLISHED)["cell"]
    turned = Genotype({"cell": Cell(tuple(node[::-1] for node in cell.nodes), cell.concat, cell.inputs)})
    assert space.format_genotype(turned) == PUBLISHED


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("+|skip_connect~0|nor_conv_3x3~1|skip_connect~2|", "", "expected 3 nodes"),
        ("|avg_pool_3x3~1|+", "|+", "node 2: expected |op~0|op~1|, got '|nor_conv_3x3~0|'"),
        ("avg_pool_3x3~1", "avg_pool_3x3~0", "edge 1->2: expected an operation and ~1, got 'avg_pool_3x3~0'"),
        ("avg_pool_3x3~1", "avg_pool_3x3", "edge 1->2: expected an operation and ~1"),
        ("avg_pool_3x3", "avg_pool_3x4", "edge 1->2: unknown operation 'avg_pool_3x4'; did you mean 'avg_pool_3x3'?"),
    ],
)
def test_a_wrong_string_names_the_edge(old: str, new: str, message: str) -> None:
    with pytest.raises(GenotypeError, match=re.escape(message)) as caught:
        space.parse_operations(PUBLISHED.replace(old, new))
    assert "\n" not in str(caught.value)


def test_a_genotype_of_another_graph_is_refused() -> None:
    cell = space.parse_genotype(PUBLISHED)["cell"]
    doubled = (cell.nodes[0], (Edge("none", 0), Edge("none", 0)), cell.nodes[2])
    with pytest.raises(GenotypeError, match="edge 0->2: expected one operation, got 2"):
        space.operations_of(Genotype({"cell": Cell(doubled, (3,), 1)}))
    with pytest.raises(GenotypeError, match=re.escape("edge 0->1: unknown operation 'sep_conv_3x3'")):
        space.operations_of(Genotype({"cell": Cell(((Edge("sep_conv_3x3", 0),), *cell.nodes[1:]), (3,), 1)}))
    with pytest.raises(GenotypeError, match="expected a cell of 1 input, 3 nodes"):
        space.operations_of(Genotype({"cell": Cell(cell.nodes, (2, 3), 1)}))
    with pytest.raises(GenotypeError, match="no 'cell' cell"):
        space.operations_of(Genotype({"normal": cell}))
    with pytest.raises(GenotypeError, match="expected 6 operations"):
        space.genotype_of(["none"])


def reaches(operations: space.Operations) -> bool:
    """Connectivity by flooding from the input, node by node."""
    reached = {0}
    for (source, target), name in zip(space.EDGES, operations, strict=True):
        if name != "none" and source in reached:
            reached.add(target)
    return 3 in reached


def test_connectivity_is_reachability() -> None:
    assert [space.is_connected(cell) for cell in ALL_CELLS] == [reaches(cell) for cell in ALL_CELLS]
    # Inclusion and exclusion over the four paths, of which an edge is passable with 4 of its 5 operations.
    count = 0
    for chosen in range(1, 5):
        for paths in itertools.combinations(space.PATHS, chosen):
            edges = len(set().union(*paths))
            count -= (-1) ** chosen * 4**edges * 5 ** (6 - edges)
    assert sum(map(space.is_connected, ALL_CELLS)) == count == 15625 - 341


def test_without_dead_edges_every_edge_matters() -> None:
    for cell in ALL_CELLS[::7]:
        pruned = space.without_dead_edges(cell)
        assert space.is_connected(pruned) == space.is_connected(cell)
        assert space.without_dead_edges(pruned) == pruned
        assert all(name in (kept, "none") for name, kept in zip(pruned, cell, strict=True))
        for edge, name in enumerate(pruned):
            if name != "none":  # some path through it has no `none`
                assert any(edge in path and all(pruned[other] != "none" for other in path) for path in space.PATHS)


def test_sizes_are_those_that_nasbench201_published() -> None:
    """The API's smallest and largest "params" in millions: 0.073306 and 1.531546, 0.079156 and 1.537396 (CIFAR-100)."""
    sizes = [space.count_parameters(cell) for cell in ALL_CELLS]
    assert (min(sizes), max(sizes)) == (73306, 1531546)
    assert space.count_parameters(["none"] * 6, num_classes=100) == 79156
    assert space.count_parameters(["nor_conv_3x3"] * 6, num_classes=100) == 1537396
    assert max(zip(sizes, ALL_CELLS, strict=True))[1] == ("nor_conv_3x3",) * 6


def test_the_specification_needs_no_torch() -> None:
    code = "import sys, rnas.spaces.nasbench201; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
