"""The unrolled hypergradient of a small supernet against differentiating through the step itself."""

from __future__ import annotations

import importlib
from typing import NamedTuple

import pytest
import torch
from torch import Tensor
from torch.func import functional_call
from torch.nn import functional as F

from rnas.config import WeightConfig
from rnas.hypergradients import BilevelProblem, first_order, unrolled
from rnas.supernets.darts.fused import FusedSupernet
from rnas.supernets.darts.reference import Supernet
from rnas.training.optimiser import WeightOptimiser


class Half(NamedTuple):
    """The images of one level."""

    images: Tensor
    labels: Tensor


class Case(NamedTuple):
    """A supernet whose optimiser has a velocity, alpha, and the images of both levels."""

    supernet: Supernet
    optimiser: WeightOptimiser
    alpha: Tensor
    train: Half
    validation: Half

    def problem(self) -> BilevelProblem:
        def loss(half: Half) -> Tensor:
            return F.cross_entropy(self.supernet(half.images, self.alpha.softmax(dim=-1)), half.labels)

        return BilevelProblem(
            self.alpha,
            self.optimiser.parameters,
            list(self.supernet.buffers()),
            validation_loss=lambda: loss(self.validation),
            training_loss=lambda: loss(self.train),
            virtual_step=self.optimiser.virtual_step,
        )


def make(kind: type[Supernet], gradient_clip: float) -> Case:
    torch.manual_seed(0)
    supernet = kind(3, channels=2, cells=3, in_channels=1).double().train()
    settings = WeightConfig(learning_rate=0.1, momentum=0.9, weight_decay=0.1, gradient_clip=gradient_clip)
    case = Case(
        supernet,
        WeightOptimiser(supernet, settings, steps=100),
        torch.randn(2, 14, 8).double().requires_grad_(),
        *(Half(torch.rand(6, 1, 6, 6).double(), torch.tensor([0, 1, 2, 0, 1, 2])) for _ in range(2)),
    )
    for _ in range(3):
        case.optimiser.step(case.problem().training_loss())
    supernet.zero_grad()
    return case


def through_the_step(case: Case) -> tuple[Tensor, Tensor]:
    """d/d alpha L_val(w'(alpha), alpha) and its first term, from the graph of the step: no finite difference."""
    weights: dict[str, Tensor] = dict(case.supernet.named_parameters())
    buffers = {name: value.clone() for name, value in case.supernet.named_buffers()}

    def loss(half: Half, values: dict[str, Tensor]) -> Tensor:
        logits = functional_call(case.supernet, {**values, **buffers}, (half.images, case.alpha.softmax(dim=-1)))
        return F.cross_entropy(logits, half.labels)

    slopes = torch.autograd.grad(loss(case.train, weights), list(weights.values()), create_graph=True)
    stepped = dict(zip(weights, case.optimiser.virtual_step(slopes), strict=True))
    (whole,) = torch.autograd.grad(loss(case.validation, stepped), case.alpha, retain_graph=True)
    (first,) = torch.autograd.grad(
        loss(case.validation, {name: value.detach() for name, value in stepped.items()}), case.alpha
    )
    return whole, first


@pytest.mark.parametrize("kind", [Supernet, FusedSupernet])
@pytest.mark.parametrize("gradient_clip", [0.5, 1e9])
def test_unrolled_differentiates_through_the_step(
    kind: type[Supernet], gradient_clip: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected, first = through_the_step(make(Supernet, gradient_clip))
    second = expected - first
    assert second.norm() > 0.01 * expected.norm()
    case = make(kind, gradient_clip)
    before = {name: value.clone() for name, value in case.supernet.state_dict().items()}
    # So close to the weights no ReLU changes sides between the two points of Eq. 8; at 0.01 many do.
    monkeypatch.setattr(importlib.import_module("rnas.hypergradients.unrolled"), "RADIUS", 1e-7)
    found = unrolled(case.problem())
    assert (found - expected).norm() <= 1e-5 * second.norm()
    assert all(torch.equal(value, before[name]) for name, value in case.supernet.state_dict().items())


def test_first_order_is_the_partial_derivative() -> None:
    case = make(FusedSupernet, 1e9)
    before = {name: value.clone() for name, value in case.supernet.state_dict().items()}
    found = first_order(case.problem())
    assert all(torch.equal(value, before[name]) for name, value in case.supernet.state_dict().items())
    expected = torch.autograd.grad(case.problem().validation_loss(), case.alpha)[0]
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=0)
