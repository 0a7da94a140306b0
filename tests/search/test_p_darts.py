"""P-DARTS: stages, what they drop, the dropout of skip connections, and how many of these the answer may have."""

from __future__ import annotations

import math

import pytest
import torch
from tests.search.tiny import batch, begin
from torch import nn

from rnas.genotype import Genotype
from rnas.search.p_darts import PDartsConfig, few_skips
from rnas.spaces import darts, nasbench201
from rnas.supernets.base import MixedOperation
from rnas.supernets.space import SPACES


def test_three_stages_of_equal_length_and_the_fall_of_the_dropout() -> None:
    algorithm, state = begin("p_darts", warmup_epochs=2, epochs=17, p_darts=PDartsConfig(dropout=(0.1, 0.4, 0.7)))
    stages = [algorithm.stage(epoch) for epoch in range(17)]
    assert stages == [(0, 0, 2, 7)] * 7 + [(1, 7, 2, 5)] * 5 + [(2, 12, 2, 5)] * 5
    rates = []
    for state.epoch in range(17):
        algorithm.start_step(state, batch(1))
        rates.append(algorithm.rate)
    falls = [1, math.exp(-1), math.exp(-2)]
    assert rates[:2] == pytest.approx([0.1 * 6 / 7, 0.1 * 5 / 7])
    assert rates[7:12] == pytest.approx([0.4 * fall for fall in [4 / 5, 3 / 5, *falls]])
    assert rates[12:] == pytest.approx([0.7 * fall for fall in [4 / 5, 3 / 5, *falls]])


def test_a_stage_drops_the_weakest_operations_and_starts_alpha_afresh() -> None:
    algorithm, state = begin("p_darts", space="darts", warmup_epochs=0, epochs=6)
    start = state.alpha.detach().clone()
    generator = torch.Generator().manual_seed(0)
    for epoch, kept in ((0, 8), (1, 5), (3, 3)):
        alpha = torch.randn(state.alpha.shape, generator=generator)
        state.set_alpha(alpha)
        before, state.epoch = state.extra["left"].bool().clone(), epoch
        algorithm.end_epoch(state)
        strongest = alpha.masked_fill(~before, -torch.inf).topk(kept, dim=-1).indices
        expected = torch.zeros_like(before).scatter(-1, strongest, True)
        assert torch.equal(state.extra["left"].bool(), expected)
        assert torch.equal(state.alpha, alpha if epoch == 0 else start)
    weights = algorithm.weights(state, [state.alpha], generator)
    torch.testing.assert_close(weights.sum(dim=-1), torch.ones(2, 14))
    assert torch.equal(weights > 0, expected)


def test_what_is_dropped_leaves_a_network_within_the_limit() -> None:
    algorithm, state = begin("p_darts", warmup_epochs=0, epochs=1, size_limit=73_306)
    convolutions = [nasbench201.OPERATIONS.index(name) for name in nasbench201.KERNELS]
    alpha = torch.zeros_like(state.alpha)
    alpha[..., convolutions] = 5  # none of which fits
    state.set_alpha(alpha)
    algorithm.end_epoch(state)
    assert int(state.extra["left"].sum()) < state.extra["left"].numel()
    assert state.space.size(algorithm.candidate(state, 0, 73_306, torch.Generator())) <= 73_306


def test_skip_connections_have_dropout_with_one_mask_a_step() -> None:
    algorithm, state = begin("p_darts", epochs=3, warmup_epochs=0, p_darts=PDartsConfig(dropout=(0.25, 0.4, 0.7)))
    mixed = next(module for module in state.supernet.modules() if isinstance(module, MixedOperation))
    skip = mixed.operations[mixed.names.index("skip_connect")]
    maps = torch.rand(8, 16, 16, 16) + 1

    def passed() -> torch.Tensor:
        result: torch.Tensor = skip(maps)
        return result

    algorithm.start_step(state, batch(1))
    first = passed()
    assert torch.equal(first, passed())
    kept = first != 0
    torch.testing.assert_close(first[kept], maps[kept] / 0.75)
    assert float(kept.float().mean()) == pytest.approx(0.75, abs=0.01)
    algorithm.start_step(state, batch(2))
    assert not torch.equal(first, passed())
    state.supernet.eval()
    assert torch.equal(passed(), maps)


def test_convolutional_skip_connections_have_none() -> None:
    _, state = begin("p_darts", space="darts")
    skips = [
        module.operations[darts.OPERATIONS.index("skip_connect")]
        for module in state.supernet.modules()
        if isinstance(module, MixedOperation)
    ]
    assert {type(skip) is nn.Identity: bool(skip._forward_hooks) for skip in skips} == {True: True, False: False}


def count(genotype: Genotype, kind: str) -> int:
    return sum(edge.op == "skip_connect" for node in genotype[kind].nodes for edge in node)


def test_the_weakest_skips_give_way_to_the_next_operation() -> None:
    weights = torch.full((1, 6, 5), 0.01)
    weights[0, :, nasbench201.OPERATIONS.index("nor_conv_3x3")] = 0.3
    skips = torch.tensor([0.9, 0.5, 0.6, 0.7, 0.1, 0.8])
    weights[0, :, nasbench201.OPERATIONS.index("skip_connect")] = skips
    found = nasbench201.operations_of(few_skips(SPACES["nasbench201"], weights, None, 2))
    skip, conv = "skip_connect", "nor_conv_3x3"
    assert found == (skip, conv, conv, conv, conv, skip)
    # Within a limit that no convolution keeps, they stay.
    weights[0, :, nasbench201.OPERATIONS.index("none")] = 0
    weights[0, :, nasbench201.OPERATIONS.index("avg_pool_3x3")] = 0
    assert nasbench201.operations_of(few_skips(SPACES["nasbench201"], weights, 73_306, 2)) == (skip,) * 6


def test_reduction_cells_may_have_any_number() -> None:
    weights = torch.full((2, 14, 8), 0.01)
    weights[..., darts.OPERATIONS.index("skip_connect")] = torch.linspace(0.5, 0.9, 14)
    found = few_skips(SPACES["darts"], weights, None, 2)
    assert (count(found, "normal"), count(found, "reduce")) == (2, 8)
    last = found["normal"].nodes[3]
    assert [edge.op for edge in last] == ["skip_connect"] * 2
