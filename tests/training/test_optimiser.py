"""The virtual step is the step: same weights, nothing changed, and differentiable."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from rnas.config import WeightConfig
from rnas.training.optimiser import WeightOptimiser


@pytest.mark.parametrize("gradient_clip", [0.3, 1e9])
def test_the_virtual_step_leads_where_the_step_does(gradient_clip: float) -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)).double()
    settings = WeightConfig(learning_rate=0.3, momentum=0.8, weight_decay=0.1, gradient_clip=gradient_clip)
    optimiser = WeightOptimiser(network, settings, steps=4)
    for _ in range(4):  # the first without a velocity, and each at another rate
        loss = network(torch.randn(5, 3).double()).square().sum()
        gradients = torch.autograd.grad(loss, optimiser.parameters, retain_graph=True)
        weights, state = copy.deepcopy(network.state_dict()), copy.deepcopy(optimiser.state())
        virtual = optimiser.virtual_step(gradients)
        torch.testing.assert_close(dict(network.state_dict()), dict(weights), rtol=0, atol=0)
        torch.testing.assert_close(optimiser.state(), state, rtol=0, atol=0)
        optimiser.step(loss)
        torch.testing.assert_close(virtual, [weight.detach() for weight in network.parameters()], rtol=1e-12, atol=0)


@pytest.mark.parametrize("gradient_clip", [0.3, 1e9])
def test_the_virtual_step_is_differentiable(gradient_clip: float) -> None:
    torch.manual_seed(0)
    network = nn.Linear(3, 2).double()
    optimiser = WeightOptimiser(network, WeightConfig(learning_rate=0.3, gradient_clip=gradient_clip), steps=4)
    gradients = [torch.randn_like(weight).requires_grad_() for weight in optimiser.parameters]
    assert torch.autograd.gradcheck(lambda *given: tuple(optimiser.virtual_step(given)), gradients)
