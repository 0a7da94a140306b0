"""SNAS: the concrete relaxation, its cooling, and one loss for both kinds of parameters."""

from __future__ import annotations

import copy
import math

import pytest
import torch
from tests.search.tiny import batch, begin
from torch.nn import functional as F

from rnas.search.relaxations import relaxed_sample
from rnas.search.snas import SnasConfig


def test_a_cold_sample_is_a_path_drawn_with_its_probability_and_a_warm_one_a_logistic_mixture() -> None:
    """The difference of two Gumbel variables is logistic: P(Z_1 < z) = 1 / (1 + exp(a_1 - a_2 - T logit(z)))."""
    alpha = torch.tensor([1.0, 0.2], dtype=torch.float64).expand(20_000, 2)
    generator = torch.Generator().manual_seed(0)
    cold = relaxed_sample(alpha, generator, 1e-4)
    assert float((cold.max(dim=-1).values > 0.99).double().mean()) > 0.999
    assert float(cold[:, 0].mean()) == pytest.approx(1 / (1 + math.exp(-0.8)), abs=0.01)
    for temperature in (0.5, 2.0):
        warm = relaxed_sample(alpha, generator, temperature)[:, 0]
        for bound in (0.3, 0.6):
            expected = 1 / (1 + math.exp(0.8 - temperature * math.log(bound / (1 - bound))))
            assert float((warm < bound).double().mean()) == pytest.approx(expected, abs=0.015)


def test_it_cools_linearly() -> None:
    algorithm, state = begin("snas", epochs=10, snas=SnasConfig(temperature=2.0, last_temperature=0.5))
    assert [algorithm.temperature(epoch) for epoch in (0, 4, 10)] == pytest.approx([2.0, 1.4, 0.5])
    state.epoch = 4
    noise = torch.empty_like(state.alpha).exponential_(generator=torch.Generator().manual_seed(5)).log().neg()
    found = algorithm.weights(state, [state.alpha], torch.Generator().manual_seed(5))
    torch.testing.assert_close(found, ((state.alpha + noise) / 1.4).softmax(dim=-1))


@pytest.mark.parametrize("space", ["nasbench201", "darts"])
def test_alpha_gets_the_gradient_of_the_training_loss(space: str) -> None:
    algorithm, state = begin("snas", space=space, warmup_epochs=1)
    start = state.alpha.detach().clone()
    algorithm.theta_step(state, batch(1))
    assert torch.equal(state.alpha, start)  # warm-up
    state.epoch = 1
    twin = copy.deepcopy(state)
    values = algorithm.theta_step(state, batch(2))
    assert not torch.equal(state.alpha, start)
    images, labels, generator = batch(2)
    weights = algorithm.weights(twin, [twin.alpha], generator)
    shown = algorithm.training_images(twin, weights.detach(), batch(2)._replace(generator=generator))
    loss = F.cross_entropy(twin.network(weights).train()(shown), labels)
    assert float(loss.detach()) == pytest.approx(values["loss"], rel=1e-5)
    (expected,) = torch.autograd.grad(loss, twin.alpha)
    assert state.alpha.grad is not None
    torch.testing.assert_close(state.alpha.grad, expected, rtol=1e-3, atol=1e-6)
    moved = state.alpha.detach().clone()
    assert algorithm.alpha_step(state, batch(3), batch(4)) == {}
    assert torch.equal(state.alpha, moved)
    assert images.shape == shown.shape
