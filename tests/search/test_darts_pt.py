"""Perturbation-based selection against what it has to find where each operation's worth is known."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from tests.search.tiny import batch, begin
from torch import Tensor
from torch.nn import functional as F

from rnas.config import Distance, PgdConfig
from rnas.search.algorithm import SearchState
from rnas.search.darts_pt import DartsPTConfig
from rnas.spaces import darts, nasbench201


def select(monkeypatch: pytest.MonkeyPatch, worth: Tensor, **changes: Any) -> tuple[Any, SearchState]:
    """A search whose supernets are as accurate as their operations are worth, each as much as it weighs."""
    algorithm, state = begin("darts_pt", **changes)
    monkeypatch.setattr(algorithm, "outcome", lambda _, weights, *given: (float((weights * worth).sum()), 0.0))  # noqa: ARG005
    for state.epoch in range(4):
        algorithm.end_epoch(state)
    return algorithm, state


def random_worth(shape: tuple[int, ...]) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(3))


def test_each_edge_keeps_the_operation_whose_absence_costs_most(monkeypatch: pytest.MonkeyPatch) -> None:
    worth = random_worth((1, 6, 5))
    algorithm, state = select(monkeypatch, worth)
    names = [nasbench201.OPERATIONS[index] for index in worth[0].argmax(dim=-1).tolist()]
    found = algorithm.candidate(state, 0, None, torch.Generator())
    assert nasbench201.operations_of(found) == nasbench201.without_dead_edges(names)
    assert (state.extra["left"].sum(dim=-1) == 1).all()


def test_each_node_keeps_the_two_edges_that_are_worth_most(monkeypatch: pytest.MonkeyPatch) -> None:
    worth = random_worth((2, 14, 8))
    worth[..., darts.OPERATIONS.index("none")] = 0
    algorithm, state = select(monkeypatch, worth, space="darts")
    found = algorithm.candidate(state, 0, None, torch.Generator())
    for kind, name in enumerate(darts.KINDS):
        best = worth[kind].max(dim=-1)
        for node, edges in enumerate(found[name].nodes, start=darts.INPUTS):
            incoming = [edge for edge, (_, target) in enumerate(darts.EDGES) if target == node]
            kept = sorted(incoming, key=lambda edge: -float(best.values[edge]))[:2]
            expected = {(darts.OPERATIONS[int(best.indices[edge])], darts.EDGES[edge][0]) for edge in kept}
            assert {(edge.op, edge.source) for edge in edges} == expected


@pytest.mark.parametrize(
    ("space", "largest", "limit"), [("nasbench201", "nor_conv_3x3", "30%"), ("darts", "sep_conv_5x5", "45%")]
)
def test_what_is_left_keeps_the_limit(space: str, largest: str, limit: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The largest operation is worth most, so that without the limit the cell would be far too large."""
    _, state = begin("darts_pt", space=space)
    worth = random_worth(tuple(state.alpha.shape))
    worth[..., state.space.operations.index(largest)] += 1
    sizes = []
    for size_limit in (None, limit):
        algorithm, state = select(monkeypatch, worth, space=space, size_limit=size_limit)
        # Already what is left is small enough, without another limit at the end.
        sizes.append(state.space.size(algorithm.candidate(state, 0, None, torch.Generator())))
    at_most = state.space.at_most(limit)
    assert at_most is not None
    assert sizes[1] <= at_most < sizes[0]


def test_decisions_are_spread_over_the_last_epochs() -> None:
    algorithm, _ = begin("darts_pt", epochs=10, warmup_epochs=2, darts_pt=DartsPTConfig(selection=0.5))
    assert [algorithm.due(epochs, 9) for epochs in range(11)] == [0] * 7 + [2, 4, 6, 9]


def test_decided_edges_weigh_one_and_the_others_all_the_same() -> None:
    algorithm, state = begin("darts_pt")
    first, second = state.extra["edge_order"][:2].tolist()
    state.extra["left"][0, first] = state.extra["left"][0, second] = F.one_hot(torch.tensor(3), 5)
    state.extra["decided"] += 1
    weights = algorithm.present(state)
    assert weights[0, first].tolist() == [0, 0, 0, 1, 0]
    others = [edge for edge in range(6) if edge != first]
    assert torch.equal(weights[0, others], torch.full((5, 5), 0.2))


def test_an_outcome_is_that_of_the_network_with_the_statistics_of_the_batch() -> None:
    algorithm, state = begin("darts_pt", attack=PgdConfig(eps=Distance(0), steps=1))
    weights = algorithm.present(state)
    state.supernet.train()
    accuracy, minus_loss = algorithm.outcome(state, weights)
    assert state.passes == 2  # the attack's step, and the measurement
    images, labels, _ = algorithm.sample
    with torch.no_grad():
        logits = state.supernet.mix(images, weights)
        in_evaluation = state.supernet.eval().mix(images, weights)
    assert accuracy == pytest.approx(float((logits.argmax(dim=1) == labels).float().mean()))
    assert -minus_loss == pytest.approx(float(F.cross_entropy(logits, labels)))
    assert not torch.allclose(logits, in_evaluation, atol=1e-2)


def test_one_attack_serves_an_epochs_end() -> None:
    passes = {}
    for each in (True, False):
        algorithm, state = begin("darts_pt", darts_pt=DartsPTConfig(attack_each=each))
        before = algorithm.present(state)
        state.supernet.train()
        shown = algorithm.attacked(state, before)
        assert algorithm.outcome(state, before, shown) == algorithm.outcome(state, before)
        state.passes, state.epoch = 0, 3
        algorithm.end_epoch(state)
        passes[each] = state.passes
    # Five operations of each of six edges, fewer where one would leave no connected cell; an attack has one step.
    assert 20 < passes[False] - 1 <= 30
    assert passes[True] == 2 * (passes[False] - 1)


def test_only_the_operations_of_the_greatest_alpha_are_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = DartsPTConfig(fixed_alpha=False, compared=2)
    algorithm, state = begin("darts_pt", darts_pt=settings)
    alpha, worth = random_worth((1, 6, 5)), random_worth((1, 6, 5)).flip(0, 1, 2)
    state.set_alpha(alpha)
    monkeypatch.setattr(algorithm, "outcome", lambda _, weights, *given: (float((weights > 0).mul(worth).sum()), 0.0))  # noqa: ARG005
    state.epoch = 3
    algorithm.end_epoch(state)
    for edge in range(6):
        strongest = alpha[0, edge].topk(2).indices.tolist()
        expected = max(strongest, key=lambda operation: float(worth[0, edge, operation]))
        assert int(state.extra["left"][0, edge].argmax()) == expected


def test_selection_moves_nothing_of_the_supernet() -> None:
    algorithm, state = begin("darts_pt")
    algorithm.theta_step(state, batch(1))
    before = {name: value.clone() for name, value in state.supernet.state_dict().items()}
    state.epoch = 3
    assert algorithm.end_epoch(state)["decided"] == 9  # six edges and three nodes
    assert all(torch.equal(value, before[name]) for name, value in state.supernet.state_dict().items())


@pytest.mark.parametrize("fixed", [True, False])
def test_alpha_stays_where_it_is_fixed(fixed: bool) -> None:
    algorithm, state = begin("darts_pt", darts_pt=DartsPTConfig(fixed_alpha=fixed))
    assert bool(state.alpha.any()) is not fixed
    before = state.alpha.detach().clone()
    algorithm.alpha_step(state, batch(1), batch(2))
    assert torch.equal(state.alpha, before) is fixed
