"""Partial channels and edge normalisation, computed by hand."""

from __future__ import annotations

import pytest
import torch
from tests.search.tiny import batch, begin
from torch import Tensor, nn

from rnas.errors import ConfigError
from rnas.search.algorithm import ALGORITHMS
from rnas.search.pc_darts import edge_weights
from rnas.spaces import darts
from rnas.supernets.base import MixedOperation
from rnas.supernets.partial import PartialOperation
from rnas.supernets.space import SPACES, SearchSpace


class Times(nn.Module):
    """A number times every `stride`-th pixel."""

    def __init__(self, factor: float, stride: int) -> None:
        super().__init__()
        self.factor, self.stride = factor, stride

    def forward(self, x: Tensor) -> Tensor:
        return self.factor * x[:, :, :: self.stride, :: self.stride]


@pytest.mark.parametrize("stride", [1, 2])
def test_a_quarter_of_the_channels_is_computed_and_all_are_shuffled(stride: int) -> None:
    built: list[int] = []

    def build(channels: int) -> MixedOperation:
        built.append(channels)
        return MixedOperation({"none": Times(0, stride), "double": Times(2, stride), "triple": Times(3, stride)})

    partial = PartialOperation(build, 8, 4)
    assert built == [2]
    x = torch.rand(2, 8, 5, 4)
    result = partial(x, torch.tensor([0.25, 0.125, 0.125]), [True] * 3)
    passed = x if stride == 1 else nn.functional.max_pool2d(x, 2, ceil_mode=True)
    computed = (2 + 3) / 8 * x[:, :, ::stride, ::stride]
    # The weight of the edge is a half, also for what passes by; the first channels of the four pairs come first.
    for place, channel in enumerate([0, 2, 4, 6, 1, 3, 5, 7]):
        expected = computed[:, channel] if channel < 2 else passed[:, channel] / 2
        torch.testing.assert_close(result[:, place], expected)


def test_edges_to_one_node_share_a_weight_of_one() -> None:
    beta = torch.randn(2, 14, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    weights = edge_weights(beta, darts.EDGES)
    for target in range(2, 6):
        into = [edge for edge, (_, node) in enumerate(darts.EDGES) if node == target]
        torch.testing.assert_close(weights[:, into], beta[:, into].softmax(dim=-1))


def test_beta_decides_which_edges_are_kept() -> None:
    algorithm, state = begin("pc_darts", space="darts")
    alpha = torch.zeros(2, 14, 8)
    alpha[..., darts.OPERATIONS.index("sep_conv_3x3")] = 1
    into_last = [edge for edge, (_, node) in enumerate(darts.EDGES) if node == 5]
    # By alpha alone, the first and the second edge of the last node.
    alpha[:, into_last[:2], darts.OPERATIONS.index("sep_conv_3x3")] = 1.5
    state.set_alpha(alpha)
    with torch.no_grad():
        state.extra["beta"].zero_()[:, into_last] = torch.tensor([0.0, 0.0, 3.0, 0.0, 2.0])
    found = algorithm.candidate(state, 0, None, torch.Generator())
    for kind in darts.KINDS:
        assert [edge.source for edge in found[kind].nodes[3]] == [2, 4]
    assert state.space.derive(alpha, None) != found


def test_beta_is_trained_with_alpha() -> None:
    algorithm, state = begin("pc_darts")
    before = [leaf.detach().clone() for leaf in algorithm.architecture(state)]
    algorithm.alpha_step(state, batch(1), batch(2))
    rate = algorithm.config.alpha_learning_rate
    for old, leaf in zip(before, algorithm.architecture(state), strict=True):
        assert leaf.grad is not None
        moved = (leaf.detach() - old).abs()[leaf.grad.abs() > 1e-5]
        torch.testing.assert_close(moved, torch.full_like(moved, rate), rtol=0.05, atol=0)  # Adam's first step
    # The only edge into the first node always weighs 1.
    assert state.extra["beta"].grad is not None
    assert float(state.extra["beta"].grad[0, 0]) == pytest.approx(0, abs=1e-7)
    assert bool(state.extra["beta"].grad[0, 1:].all())


def test_a_space_without_partial_channels_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    algorithm, _ = begin("pc_darts")
    space = SPACES["nasbench201"]
    monkeypatch.setattr(type(space), "partial_channels", False)
    with pytest.raises(ConfigError, match=r"^space: expected one with partial channels .* got 'nasbench201'$"):
        ALGORITHMS["pc_darts"].check(algorithm.config, space)


@pytest.mark.parametrize("name", ["darts_pt", "pc_darts", "p_darts", "racl"])
def test_a_space_that_only_derives_is_refused_by_what_weighs_edges(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    algorithm, _ = begin(name)
    space = SPACES["nasbench201"]
    monkeypatch.setattr(type(space), "choose", SearchSpace.choose)
    with pytest.raises(ConfigError, match=r"^space: expected one with .*named edges .*got 'nasbench201'$"):
        ALGORITHMS[name].check(algorithm.config, space)
