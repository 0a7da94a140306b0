"""RACL: bounds of operations, the log-normal constant against draws, and a bound that is enforced."""

from __future__ import annotations

import math

import pytest
import torch
from tests.search.tiny import batch, begin
from torch import nn

from rnas.networks.operations import build_operation
from rnas.search.racl import LogNormal, RaclConfig, cell_constant, operation_norm
from rnas.spaces import darts, nasbench201


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("name", [name for name in darts.OPERATIONS if name != "none"])
def test_no_pair_of_images_is_moved_apart_by_more(name: str, stride: int) -> None:
    torch.manual_seed(0)
    operation = build_operation(name, 4, stride, affine=False).double()
    for module in operation.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.forward = lambda maps: maps  # type: ignore[assignment] # left out of the bound
    bound = operation_norm(operation)
    maps = torch.randn(1, 4, 6, 6, dtype=torch.float64)
    direction = torch.randn_like(maps)
    for _ in range(30):  # power iteration of the linear map at these maps
        point = maps.clone().requires_grad_()
        _, pushed = torch.autograd.functional.jvp(operation, point, direction)
        (pulled,) = torch.autograd.functional.vjp(operation, point, pushed)[1:]
        direction = pulled / pulled.norm().clamp_min(1e-12)
    largest = float(pushed.norm())
    assert 0 < largest <= bound * (1 + 1e-9)
    if name == "skip_connect" and stride == 1:
        assert bound == 1


def test_the_constant_of_a_cell_has_the_moments_of_its_draws() -> None:
    """Independent log-normal weights; no source has more than one path to its node in common with another."""
    generator = torch.Generator().manual_seed(0)
    mean = torch.randn(2, 3, generator=generator, dtype=torch.float64) / 4
    variance = torch.rand(2, 3, generator=generator, dtype=torch.float64) / 8
    norms = torch.tensor([[0.0, 1.0, 3.0], [2.0, 0.5, 1.0]], dtype=torch.float64)
    chain = ((0, 1), (1, 2))
    found = cell_constant(LogNormal(mean, variance), norms, chain, 1, (2,))
    noise = torch.randn(200_000, 2, 3, generator=generator, dtype=torch.float64)
    drawn = (norms * (mean + variance.sqrt() * noise).exp()).sum(dim=-1).prod(dim=-1)
    assert float(found.moment(1)) == pytest.approx(float(drawn.mean()), rel=0.01)
    assert float(found.moment(2)) == pytest.approx(float(drawn.square().mean()), rel=0.02)
    below = (drawn.log() < found.mean + 1.2816 * found.variance.sqrt()).double().mean()
    assert float(below) == pytest.approx(0.9, abs=0.01)


def test_one_operation_has_the_weights_own_distribution() -> None:
    weights = LogNormal(torch.tensor([[0.3]]), torch.tensor([[0.2]]))
    found = cell_constant(weights, torch.tensor([[2.0]]), ((0, 1),), 1, (1,))
    assert float(found.mean) == pytest.approx(0.3 + math.log(2))
    assert float(found.variance) == pytest.approx(0.2)


def test_samples_have_the_medians_of_alpha_and_beta() -> None:
    algorithm, state = begin("racl")
    state.set_alpha(torch.randn(state.alpha.shape, generator=torch.Generator().manual_seed(0)))
    with torch.no_grad():
        state.extra["alpha_deviation"].fill_(-20)
        state.extra["beta_deviation"].fill_(math.log(0.3))
    drawn = torch.stack(
        [algorithm.weights(state, algorithm.architecture(state), torch.Generator().manual_seed(n)) for n in range(400)]
    ).detach()
    shares = drawn / drawn.sum(dim=-1, keepdim=True)
    torch.testing.assert_close(shares[0], state.alpha.detach().softmax(dim=-1), rtol=1e-4, atol=1e-5)
    for target in (1, 2, 3):
        into = [edge for edge, (_, node) in enumerate(nasbench201.EDGES) if node == target]
        torch.testing.assert_close(drawn[:, 0, into].sum(dim=(-1, -2)), torch.ones(400))
    odds = (drawn[:, 0, 1].sum(dim=-1) / drawn[:, 0, 2].sum(dim=-1)).log()
    assert float(odds.std()) == pytest.approx(0.3 * math.sqrt(2), rel=0.15)


def test_the_multiplier_enforces_the_bound() -> None:
    settings = RaclConfig(bound=0.5, rho=5.0)
    algorithm, state = begin("racl", epochs=20, warmup_epochs=0, alpha_learning_rate=0.02, racl=settings)
    algorithm.end_warmup(state)
    excess = float((algorithm.quantile(state, algorithm.architecture(state)) - state.extra["log_bound"]).detach())
    assert excess == pytest.approx(math.log(2), rel=1e-4)
    logged = []
    for state.epoch in range(12):
        for seed in range(3):
            values = algorithm.alpha_step(state, batch(seed), batch(4))
        logged.append(algorithm.end_epoch(state))
    assert values["lipschitz"] >= 0
    assert logged[0]["multiplier"] == pytest.approx(5 * logged[0]["lipschitz_excess"])
    assert 0 < logged[0]["lipschitz_excess"] < excess
    assert logged[-1]["lipschitz_excess"] < 0.05
    for leaf in algorithm.architecture(state):
        assert leaf.grad is not None
        assert bool(leaf.grad.any())
