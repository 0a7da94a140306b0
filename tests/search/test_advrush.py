"""The curvature of AdvRush against a closed form and finite differences."""

from __future__ import annotations

import math

import pytest
import torch
from tests.search.tiny import batch, begin
from torch import Tensor, nn

from rnas.search.advrush import AdvRushConfig, curvature
from rnas.search.algorithm import Batch


def test_the_curvature_of_a_logistic_loss() -> None:
    """The loss log(1 + exp(w x)) has the gradient s(w x) w, s the sigmoid; along z, w x grows by h |w|_1 / sqrt(n)."""
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(12, generator=generator, dtype=torch.float64, requires_grad=True)
    images = torch.randn(3, 3, 2, 2, generator=generator, dtype=torch.float64)

    def network(points: Tensor) -> Tensor:
        product = points.flatten(1) @ weight
        return torch.stack([product, torch.zeros_like(product)], dim=1)

    found = curvature(network, images, torch.ones(3, dtype=torch.int64), 0.7)
    product = images.flatten(1) @ weight
    further = product + 0.7 * weight.abs().sum() / math.sqrt(12)
    expected = (further.sigmoid() - product.sigmoid()) * weight.norm()
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=0)
    gradients = [torch.autograd.grad(value.sum(), weight)[0] for value in (found, expected)]
    torch.testing.assert_close(gradients[0], gradients[1], rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize("space", ["nasbench201", "darts"])
def test_its_gradient_in_alpha_is_that_of_finite_differences(space: str) -> None:
    algorithm, state = begin("advrush", space=space, advrush=AdvRushConfig(gamma=2, start=0))
    # Without kinks, and pixels whose gradient is nearly 0 and so changes its sign.
    for module in state.supernet.double().modules():
        for name, child in module.named_children():
            if isinstance(child, nn.ReLU):
                setattr(module, name, nn.Softplus(beta=4))
    for norm in [module for module in state.supernet.modules() if isinstance(module, nn.BatchNorm2d)]:
        norm.eps = 1e-2
    images, labels, generator = batch(1)
    state.epoch = 3
    alpha = torch.zeros_like(state.alpha, dtype=torch.float64).requires_grad_()
    direction = torch.randn(alpha.shape, generator=torch.Generator().manual_seed(2), dtype=torch.float64)

    def penalty(alpha: Tensor) -> Tensor:
        network = state.network(alpha.softmax(dim=-1)).train()
        shown = Batch(images.double(), labels, generator)
        return algorithm.penalties(state, [alpha], network, shown)["curvature"]

    (gradient,) = torch.autograd.grad(penalty(alpha), alpha)
    step = 1e-5 * direction
    slope = (penalty((alpha + step).detach()) - penalty((alpha - step).detach())) / 2e-5
    assert float((gradient * direction).sum()) == pytest.approx(float(slope.detach()), rel=1e-3)


def test_the_first_epochs_do_without() -> None:
    algorithm, state = begin("advrush", warmup_epochs=1, epochs=7)
    network = state.network(state.alpha.softmax(dim=-1))
    begun = []
    for state.epoch in range(1, 7):
        begun.append(bool(algorithm.penalties(state, [state.alpha], network, batch(1))))
    assert begun == [False] * 5 + [True]
