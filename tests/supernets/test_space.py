"""A size limit is kept exactly, and what is found under it is the best there is."""

import itertools
import re
from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch

from rnas.errors import ConfigError
from rnas.genotype import Genotype
from rnas.networks.cells import CellNetwork
from rnas.networks.nasbench201 import NasBench201Network
from rnas.networks.zoo import count_parameters
from rnas.spaces import darts, nasbench201
from rnas.supernets.darts import derive
from rnas.supernets.space import SPACES


def random_alpha(name: str, seed: int) -> torch.Tensor:
    return 2 * torch.randn(SPACES[name].supernet.alpha_shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("name", list(SPACES))
@pytest.mark.parametrize("seed", range(2))
def test_a_smaller_limit_gives_a_smaller_network(name: str, seed: int) -> None:
    space = SPACES[name]
    alpha = random_alpha(name, seed)
    free = space.derive(alpha, None)
    assert space.derive(alpha, space.size(free)) == free
    below = space.derive(alpha, space.size(free) - 1)
    assert space.size(below) < space.size(free)
    for percentage in ("40%", "60%", "80%"):
        at_most = space.at_most(percentage)
        assert at_most is not None
        assert space.size(space.derive(alpha, at_most)) <= at_most
        assert space.size(space.largest(at_most, torch.Generator().manual_seed(seed))) <= at_most


@pytest.mark.parametrize("name", list(SPACES))
def test_too_small_a_limit_names_the_smallest_size(name: str) -> None:
    space = SPACES[name]
    with pytest.raises(ConfigError, match="size_limit: expected at least") as raised:
        space.derive(random_alpha(name, 0), 10)
    least = int("".join(filter(str.isdigit, str(raised.value).split("parameters")[0])))
    assert space.size(space.derive(random_alpha(name, 0), least)) == least


def test_sizes_are_those_of_the_networks() -> None:
    genotype = SPACES["darts"].derive(random_alpha("darts", 1), None)
    assert SPACES["darts"].size(genotype) == count_parameters(CellNetwork(genotype, 10))
    shorter = Genotype({kind: replace(cell, concat=(2, 5)) for kind, cell in genotype.cells})
    assert SPACES["darts"].size(shorter) == count_parameters(CellNetwork(shorter, 10))
    cell = SPACES["nasbench201"].derive(random_alpha("nasbench201", 1), None)
    assert SPACES["nasbench201"].size(cell) == count_parameters(NasBench201Network(cell, 10))


def test_sizes_of_operations_add_up() -> None:
    """What the limit is computed with, against networks that are built."""
    for seed in range(3):
        genotype = SPACES["darts"].derive(random_alpha("darts", seed), None)
        sizes = derive.operation_sizes()
        total = derive.size_around_operations() + sum(
            sizes[kind][darts.EDGES.index((edge.source, target))][darts.OPERATIONS.index(edge.op)]
            for kind, name in enumerate(darts.KINDS)
            for target, edges in enumerate(genotype[name].nodes, start=darts.INPUTS)
            for edge in edges
        )
        assert total == count_parameters(CellNetwork(genotype, 10)) == SPACES["darts"].size(genotype)


def test_the_largest_network_has_the_largest_operation_everywhere() -> None:
    generator = torch.Generator().manual_seed(0)
    largest = SPACES["darts"].largest(None, generator)
    assert {edge.op for kind in largest.kinds for node in largest[kind].nodes for edge in node} == {"sep_conv_5x5"}
    cell = SPACES["nasbench201"].largest(None, generator)
    assert set(nasbench201.operations_of(cell)) == {"nor_conv_3x3"}
    assert SPACES["nasbench201"].at_most("100%") == SPACES["nasbench201"].size(cell)


def test_equally_large_cells_are_drawn_by_the_generator() -> None:
    space = SPACES["nasbench201"]
    limit = nasbench201.count_parameters(["nor_conv_3x3"] * 2 + ["nor_conv_1x1"] * 4)
    drawn = {space.largest(limit, torch.Generator().manual_seed(seed)) for seed in range(30)}
    assert all(space.size(cell) == limit for cell in drawn)
    assert len(drawn) > 5  # there are 15


def test_dynamic_programming_finds_the_heaviest_choice() -> None:
    """Against all choices, at three nodes with a few options each."""
    generator = torch.Generator().manual_seed(0)
    options = [
        [
            derive.Choice(int(size), float(weight), (((node, option),),))
            for option, (size, weight) in enumerate(
                zip(
                    torch.randint(0, 50, (6,), generator=generator).tolist(),
                    torch.rand(6, generator=generator).tolist(),
                    strict=True,
                )
            )
        ]
        for node in range(3)
    ]

    def total(choices: Sequence[derive.Choice]) -> float:
        return sum(choice.weight for choice in choices)

    around = derive.size_around_operations()
    assert around > 0
    for room in (40, 70, 100):
        within = [choices for choices in itertools.product(*options) if sum(choice.size for choice in choices) <= room]
        if within:
            assert derive.heaviest_within(options, room).weight == pytest.approx(max(map(total, within)))


def test_the_best_connected_cell_within_a_limit() -> None:
    """Against all 15,625 cells."""
    alpha = random_alpha("nasbench201", 5)
    scores = alpha[0].log_softmax(dim=-1)
    limit = 400_000

    def score(cell: Sequence[str]) -> float:
        return sum(float(scores[edge, nasbench201.OPERATIONS.index(name)]) for edge, name in enumerate(cell))

    best = max(
        (
            cell
            for cell in nasbench201.all_cells()
            if nasbench201.is_connected(cell)
            and nasbench201.count_parameters(nasbench201.without_dead_edges(cell)) <= limit
        ),
        key=score,
    )
    derived: Genotype = SPACES["nasbench201"].derive(alpha, limit)
    assert nasbench201.operations_of(derived) == nasbench201.without_dead_edges(best)


@pytest.mark.parametrize("name", list(SPACES))
def test_a_path_derives_its_genotype(name: str) -> None:
    space = SPACES[name]
    for seed in range(3):
        genotype = space.derive(random_alpha(name, seed), None)
        again = space.derive(20 * space.path(genotype), None)
        # Of edges that are equally strong the order within a node is lost.
        for kind in space.kinds:
            assert [set(node) for node in again[kind].nodes] == [set(node) for node in genotype[kind].nodes]


def test_a_path_computes_what_the_network_does() -> None:
    """The supernet at a path, against the network of the genotype with the same weights."""
    torch.manual_seed(0)
    space = SPACES["nasbench201"]
    form: dict[str, int] = {"channels": 2, "cells": 1, "in_channels": 1}
    supernet = space.supernet(10, **form)
    operations = ("nor_conv_3x3", "skip_connect", "avg_pool_3x3", "nor_conv_1x1", "none", "nor_conv_3x3")
    genotype = nasbench201.genotype_of(operations)
    network = space.build(genotype, 10, **form)
    names = [nasbench201.OPERATIONS.index(name) for name in operations]
    of_path = {
        key.replace(f"edges.{edge}.operations.{name}.", f"edges.{edge}."): value
        for key, value in supernet.state_dict().items()
        for edge, name in enumerate(names)
        if f"edges.{edge}.operations.{name}." in key or ("operations" not in key and edge == 0)
    }
    missing, unexpected = network.load_state_dict(of_path, strict=False)
    assert not unexpected
    # Convolutions are taken over; scales and shifts that batch norms learn in the network only change nothing yet.
    assert all(re.search(r"\.edges\.\d\.2\.", key) for key in missing)
    images = torch.rand(4, 1, 8, 8)
    torch.testing.assert_close(supernet.train().mix(images, space.path(genotype)), network.train()(images))


def test_a_space_without_named_edges_has_no_paths(monkeypatch: pytest.MonkeyPatch) -> None:
    space = SPACES["nasbench201"]
    genotype = space.derive(random_alpha("nasbench201", 0), None)
    monkeypatch.setattr(type(space), "edges", ())
    with pytest.raises(ConfigError, match="space: expected one that names its edges, got 'nasbench201'"):
        space.path(genotype)


@pytest.mark.parametrize("name", list(SPACES))
def test_choosing_by_the_softmax_of_alpha_is_deriving(name: str) -> None:
    space, alpha = SPACES[name], random_alpha(name, 3)
    for at_most in (None, space.at_most("50%")):
        assert space.choose(alpha.double().softmax(dim=-1), at_most) == space.derive(alpha, at_most)


@pytest.mark.parametrize("name", list(SPACES))
def test_operations_of_weight_zero_are_out_of_the_question(name: str) -> None:
    """The two lightest operations of each edge are the only ones that are left."""
    space = SPACES[name]
    left = [index for index, operation in enumerate(space.operations) if operation != "none"][:2]
    names = {space.operations[index] for index in left} | {"none"}
    weights = torch.rand(space.supernet.alpha_shape, generator=torch.Generator().manual_seed(0)) + 1
    weights[..., left] *= 1e-9
    only = torch.zeros_like(weights)
    only[..., left] = weights[..., left]

    def chosen(weights: torch.Tensor, at_most: int | None) -> set[str]:
        genotype = space.choose(weights, at_most)
        return {edge.op for kind in genotype.kinds for node in genotype[kind].nodes for edge in node}

    assert not chosen(weights, None) <= names
    for at_most in (None, space.at_most("60%")):
        assert chosen(only, at_most) <= names
    with pytest.raises(ConfigError, match="of weight > 0"):
        space.choose(torch.zeros_like(weights), None)


def decisions(genotype: Genotype) -> list[object]:
    """All that a genotype decides, in order: the operation and the source of each edge."""
    cells = (genotype[kind] for kind in genotype.kinds)
    edges = [edge for cell in cells for node in cell.nodes for edge in node]
    return [value for edge in edges for value in (edge.op, edge.source)]


@pytest.mark.parametrize("name", list(SPACES))
def test_a_neighbour_differs_in_one_decision_and_can_be_built(name: str) -> None:
    space = SPACES[name]
    genotype = space.derive(random_alpha(name, 0), None)
    neighbours = space.neighbours(genotype)
    before = decisions(genotype)
    assert len(set(map(str, neighbours))) == len(neighbours) > 0
    for one in neighbours:
        assert sum(old != new for old, new in zip(before, decisions(one), strict=True)) == 1
    for one in neighbours[:: max(1, len(neighbours) // 8)]:
        space.build(one, 10, channels=2, cells=max(1, space.least_cells), in_channels=3)


def test_every_connected_cell_is_a_neighbour_of_its_neighbours() -> None:
    space = SPACES["nasbench201"]
    cell = nasbench201.parse_genotype("|nor_conv_3x3~0|+|none~0|skip_connect~1|+|none~0|none~1|skip_connect~2|")
    neighbours = space.neighbours(cell)
    # A chain: each of its edges may become one of three others, for none would cut it; each empty edge one of four.
    assert len(neighbours) == 3 * 3 + 3 * 4
    assert all(cell in space.neighbours(one) for one in neighbours)


def test_neighbours_of_darts_are_all_of_them() -> None:
    space = SPACES["darts"]
    genotype = space.derive(random_alpha("darts", 0), None)
    # Two cells of four nodes with two edges each: six other operations an edge, and each node k reads two of k + 2.
    assert len(space.neighbours(genotype)) == 2 * (4 * 2 * 6 + 2 * (0 + 1 + 2 + 3))


@pytest.mark.parametrize("name", list(SPACES))
def test_a_mutant_keeps_the_limit(name: str) -> None:
    space = SPACES[name]
    generator = torch.Generator().manual_seed(0)
    at_most = space.at_most("40%")
    genotype = space.derive(random_alpha(name, 0), at_most)
    mutants = [space.mutate(genotype, at_most, generator) for _ in range(20)]
    assert len(set(map(str, mutants))) > 1
    assert all(one is not None and one != genotype and space.size(one) <= (at_most or 0) for one in mutants)
    smaller = [space.mutate(genotype, space.size(genotype) - 1, generator) for _ in range(5)]
    assert all(one is None or space.size(one) < space.size(genotype) for one in smaller)
    assert space.mutate(genotype, 1, generator) is None


@pytest.mark.parametrize("name", list(SPACES))
def test_whether_a_network_is_left_is_what_choosing_finds_out(name: str) -> None:
    space, generator = SPACES[name], torch.Generator().manual_seed(0)
    found = []
    for keep in (0.1, 0.3, 0.5, 0.7):
        for limit in (None, "34%", "50%", "80%"):
            left = (torch.rand(space.supernet.alpha_shape, generator=generator) < keep).float()
            at_most = space.at_most(limit)
            found.append(space.has_network(left, at_most))
            try:
                size = space.size(space.choose(left, at_most))
            except ConfigError:
                assert not found[-1]
            else:
                assert found[-1]
                assert at_most is None or size <= at_most
    assert True in found
    assert False in found
