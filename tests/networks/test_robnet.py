"""RobNet's edge codes and ARNAS' three kinds of cell: what a code builds, and where a cell stands."""

import pytest
import torch
from torch import nn

from rnas.errors import GenotypeError
from rnas.genotype import Genotype
from rnas.networks import zoo
from rnas.networks.arnas import Arnas, arnas_plan
from rnas.networks.cells import NetworkCell, darts_plan
from rnas.networks.robnet import RobNet
from rnas.networks.robnet_codes import ROBNET_FREE, ROBNET_LARGE, cell_of, genotype_of_codes

#: Identities into every node, so that a network with any one further edge is valid.
IDENTITIES = ["10"] * 14


def built(code: list[str]) -> NetworkCell:
    """The cell of a code with 4 channels, for inputs of 4 channels, its adapters removed; equal weights for all."""
    torch.manual_seed(0)
    cell = NetworkCell(cell_of(code), 4, 4, 4, reduce=False, reduced_before=False, affine=False).eval()
    for adapter in (cell.adapt_before_previous, cell.adapt_previous):
        for name, _ in list(adapter.named_children()):
            setattr(adapter, name, nn.Identity())
    return cell


def node(cell: NetworkCell, index: int, *inputs: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        return cell(*inputs)[:, 4 * index : 4 * index + 4]


def test_code_00_removes_an_edge() -> None:
    first, second = torch.randn(2, 4, 5, 5), torch.randn(2, 4, 5, 5)
    both, one = built(IDENTITIES), built(["10", "00", *IDENTITIES[2:]])
    assert torch.equal(node(both, 0, first, second), first + second)
    assert torch.equal(node(one, 0, first, second), first)
    assert cell_of(["10", "00", *IDENTITIES[2:]]).nodes[0] == cell_of(IDENTITIES).nodes[0][:1]


def test_code_11_adds_the_convolution_and_the_identity() -> None:
    first, second = torch.randn(2, 4, 5, 5), torch.randn(2, 4, 5, 5)
    convolved = node(built(["01", "00", *IDENTITIES[2:]]), 0, first, second)
    summed = node(built(["11", "00", *IDENTITIES[2:]]), 0, first, second)
    assert torch.allclose(summed, convolved + first, atol=1e-6)


def test_an_edge_is_read_in_the_order_of_the_nodes() -> None:
    """The 3rd to 5th codes are the edges into node 3, from 0, 1 and 2."""
    cell = cell_of([*IDENTITIES[:2], "01", "00", "11", *IDENTITIES[5:]])
    assert [(edge.op, edge.source) for edge in cell.nodes[1]] == [
        ("sep_conv_3x3", 0),
        ("sep_conv_3x3", 2),
        ("skip_connect", 2),
    ]


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (IDENTITIES[1:], "cell '02', expected the codes of 14 edges, got 13"),
        ([*IDENTITIES[:3], "12", *IDENTITIES[4:]], "cell '02', node 3, edge from 1: expected one of 00, .* got '12'"),
    ],
)
def test_a_malformed_code_is_named_to_the_edge(code: list[str], words: str) -> None:
    with pytest.raises(GenotypeError, match=words):
        genotype_of_codes([IDENTITIES, code])


def test_a_node_without_an_edge_is_refused() -> None:
    with pytest.raises(GenotypeError, match="cell '01', node 2: no incoming edge"):
        RobNet(genotype_of_codes([["00", "00", *IDENTITIES[2:]]]), 10, channels=2, cells=3)


def test_robnet_has_a_cell_for_each_position_or_one_for_all() -> None:
    assert len(ROBNET_LARGE.kinds) == 1
    assert len(ROBNET_FREE.kinds) == 20
    with torch.device("meta"):
        network = RobNet(ROBNET_FREE, 10, channels=2)
    edges = [len(cell.edges) for cell in network.cells if isinstance(cell, NetworkCell)]
    assert edges == [sum(map(len, cell.nodes)) for _, cell in ROBNET_FREE.cells]


def test_a_shorter_robnet_spreads_its_cells() -> None:
    codes = [[code, *IDENTITIES[1:]] for code in ("10", "01", "11", "10")]
    network = RobNet(genotype_of_codes(codes), 10, channels=2, cells=3)
    first_edges = [cell.edges[0] for cell in network.cells if isinstance(cell, NetworkCell)]
    convolutions = [isinstance(edge, nn.Sequential) for edge in first_edges]
    # Of four kinds three positions take the first, the second and the third.
    assert convolutions == [False, True, True]


def test_robnet_norms_have_no_scale_but_the_stem() -> None:
    network = RobNet(ROBNET_LARGE, 10, channels=2, cells=3)
    assert not any(norm.affine for norm in network.cells.modules() if isinstance(norm, nn.BatchNorm2d))


def test_robnet_large_counts_the_tables_number_with_100_classes() -> None:
    with torch.device("meta"):
        count = zoo.count_parameters(zoo.build("robnet_large", 100))
    assert round(count / 1e6, 1) == 6.9


def test_arnas_places_three_kinds_with_widths_c_2c_2c() -> None:
    plan = arnas_plan(20)
    assert [placement.kind for placement in plan] == (
        ["accurate"] * 6 + ["reduce"] + ["accurate"] * 6 + ["reduce"] + ["robust"] * 6
    )
    assert [placement.multiple for placement in plan] == [1] * 6 + [2] * 14
    assert [index for index, placement in enumerate(plan) if placement.reduce] == [6, 13]


def test_arnas_keeps_its_width_at_the_second_reduction() -> None:
    network = Arnas(10, channels=2, cells=6, in_channels=1).eval()
    shapes = []
    for cell in network.cells:
        cell.register_forward_hook(lambda _module, _inputs, output: shapes.append(tuple(output.shape[1:])))
    with torch.no_grad():
        network(torch.rand(1, 1, 8, 8))
    assert shapes == [(8, 8, 8), (8, 8, 8), (16, 4, 4), (16, 4, 4), (16, 2, 2), (16, 2, 2)]


def test_the_plan_of_darts_doubles_twice() -> None:
    multiples = [placement.multiple for placement in darts_plan(20)]
    assert multiples == [1] * 6 + [2] * 7 + [4] * 7


def test_a_genotype_survives_its_file() -> None:
    for genotype in (ROBNET_FREE, zoo.NETWORKS["arnas"].genotype):
        assert genotype is not None
        assert Genotype.from_json(genotype.to_json()) == genotype
