"""The hypergradients of problems whose answer is known: in closed form, or by differences of the unrolled objective."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from rnas.config import WeightConfig
from rnas.hypergradients import HYPERGRADIENTS, BilevelProblem, first_order, unrolled
from rnas.training.optimiser import WeightOptimiser

RATE = 0.3


def symmetric(size: int) -> Tensor:
    root = torch.randn(size, size, dtype=torch.float64)
    return root @ root.t() + torch.eye(size, dtype=torch.float64)


class Quadratic:
    """L_train = 1/2 w.A w - w.B alpha and L_val = 1/2 ||w - t||^2 + 1/2 alpha.D alpha + w.E alpha, one plain step."""

    def __init__(self) -> None:
        torch.manual_seed(0)
        self.a, self.d = symmetric(5), symmetric(3)
        self.b, self.e = torch.randn(2, 5, 3, dtype=torch.float64)
        self.target = torch.randn(5, dtype=torch.float64)
        self.weights = torch.randn(5, dtype=torch.float64, requires_grad=True)
        self.alpha = torch.randn(3, dtype=torch.float64, requires_grad=True)

    def training_loss(self) -> Tensor:
        return self.weights @ self.a @ self.weights / 2 - self.weights @ self.b @ self.alpha

    def validation_loss(self) -> Tensor:
        own = self.alpha @ self.d @ self.alpha / 2 + self.weights @ self.e @ self.alpha
        return own + (self.weights - self.target).square().sum() / 2

    def step(self, gradients: Sequence[Tensor]) -> list[Tensor]:
        return [self.weights.detach() - RATE * gradients[0]]

    def problem(self) -> BilevelProblem:
        return BilevelProblem(
            self.alpha, [self.weights], [], self.validation_loss, self.training_loss, virtual_step=self.step
        )

    def partial(self, weights: Tensor) -> Tensor:
        """The partial derivative of L_val in alpha at some weights."""
        return (self.d @ self.alpha + self.e.t() @ weights).detach()

    def slope(self, weights: Tensor) -> Tensor:
        """The gradient of L_val in the weights."""
        return (weights - self.target + self.e @ self.alpha).detach()


def test_first_order_is_the_partial_derivative() -> None:
    case = Quadratic()
    torch.testing.assert_close(first_order(case.problem()), case.partial(case.weights), rtol=1e-12, atol=0)


def test_unrolled_in_closed_form() -> None:
    case = Quadratic()
    stepped = (case.weights - RATE * (case.a @ case.weights - case.b @ case.alpha)).detach()
    # Equation 7, where the second derivatives of L_train in alpha and w are -B^T.
    expected = case.partial(stepped) + RATE * case.b.t() @ case.slope(stepped)
    torch.testing.assert_close(unrolled(case.problem()), expected, rtol=1e-6, atol=0)


def test_unrolled_is_exact_where_one_step_solves_the_lower_problem() -> None:
    case = Quadratic()
    case.a = torch.eye(5, dtype=torch.float64) / RATE
    optimal = (RATE * case.b @ case.alpha).detach()  # w*(alpha) = A^-1 B alpha, from any weights
    implicit = case.partial(optimal) + (RATE * case.b).t() @ case.slope(optimal)
    torch.testing.assert_close(unrolled(case.problem()), implicit, rtol=1e-6, atol=0)


def test_both_agree_at_the_stepped_weights_if_training_does_not_depend_on_alpha() -> None:
    case = Quadratic()
    case.b.zero_()
    found = unrolled(case.problem())
    assert not torch.allclose(found, first_order(case.problem()))
    with torch.no_grad():
        case.weights.sub_(RATE * case.a @ case.weights)
    torch.testing.assert_close(found, first_order(case.problem()), rtol=1e-12, atol=0)
    # And everywhere, if alpha and the weights do not meet in the validation loss either.
    case.e.zero_()
    torch.testing.assert_close(unrolled(case.problem()), first_order(case.problem()), rtol=1e-12, atol=0)


def test_both_agree_if_the_step_leads_nowhere() -> None:
    case = Quadratic()
    still = replace(case.problem(), virtual_step=lambda gradients: [case.weights.detach() + 0 * gradients[0]])
    torch.testing.assert_close(unrolled(still), first_order(still), rtol=0, atol=0)


@pytest.mark.parametrize("gradient_clip", [0.1, 1e9])
def test_unrolled_is_the_derivative_of_the_unrolled_objective(gradient_clip: float) -> None:
    """Two tanh layers whose hidden units alpha weighs, after steps that left a velocity, by central differences."""
    torch.manual_seed(1)
    first, second = nn.Linear(3, 6).double(), nn.Linear(6, 1).double()
    network = nn.ModuleList([first, second])
    inputs, targets = torch.randn(2, 8, 3, dtype=torch.float64), torch.randn(2, 8, 1, dtype=torch.float64)
    alpha = torch.randn(6, dtype=torch.float64, requires_grad=True)

    def loss(half: int) -> Tensor:
        hidden = first(inputs[half]).tanh() * alpha.softmax(dim=0)
        return (second(hidden) - targets[half]).square().mean()

    settings = WeightConfig(learning_rate=0.5, momentum=0.9, weight_decay=0.1, gradient_clip=gradient_clip)
    optimiser = WeightOptimiser(network, settings, steps=10)
    for _ in range(2):
        optimiser.step(loss(0))
    network.zero_grad()
    problem = BilevelProblem(
        alpha, optimiser.parameters, [], lambda: loss(1), lambda: loss(0), virtual_step=optimiser.virtual_step
    )
    weights = [weight.detach().clone() for weight in optimiser.parameters]

    def write(values: Sequence[Tensor]) -> None:
        with torch.no_grad():
            for weight, value in zip(optimiser.parameters, values, strict=True):
                weight.copy_(value)

    def objective(change: Tensor) -> float:
        with torch.no_grad():
            alpha.add_(change)
        write(optimiser.virtual_step(torch.autograd.grad(loss(0), optimiser.parameters)))
        value = float(loss(1).detach())
        write(weights)
        with torch.no_grad():
            alpha.sub_(change)
        return value

    steps = 1e-5 * torch.eye(6, dtype=torch.float64)
    expected = torch.tensor([(objective(step) - objective(-step)) / 2e-5 for step in steps], dtype=torch.float64)
    found, first_found = unrolled(problem), first_order(problem)
    # What the radius of Eq. 8 leaves of the second term, which matters here.
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-6)
    assert (first_found - expected).norm() > 0.05 * expected.norm()


@pytest.mark.parametrize("name", list(HYPERGRADIENTS))
@pytest.mark.parametrize("fails_at", [None, "validation", 1, 2, 3])
def test_nothing_is_changed(name: str, fails_at: str | int | None) -> None:
    torch.manual_seed(2)
    network = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 1)).double().train()
    alpha = torch.randn(4, dtype=torch.float64, requires_grad=True)
    inputs = torch.randn(6, 3, dtype=torch.float64)
    for tensor in (alpha, *network.parameters()):
        tensor.grad = torch.randn_like(tensor)
    gradients = {tensor: tensor.grad for tensor in (alpha, *network.parameters())}
    tensors = [*gradients, *network.buffers(), *(gradient for gradient in gradients.values() if gradient is not None)]
    before = [tensor.detach().clone() for tensor in tensors]
    calls = 0

    def loss() -> Tensor:
        return network[2](network[1](network[0](inputs)) * alpha).square().mean()

    def failing(here: str) -> Callable[[], Tensor]:
        def evaluate() -> Tensor:
            nonlocal calls
            calls += here == "training"
            value = loss()
            if fails_at == (calls if here == "training" else here):
                raise ArithmeticError("here")
            return value

        return evaluate

    problem = BilevelProblem(
        alpha,
        list(network.parameters()),
        list(network.buffers()),
        failing("validation"),
        failing("training"),
        virtual_step=WeightOptimiser(network, WeightConfig(), steps=1).virtual_step,
    )
    raised = False
    try:
        assert HYPERGRADIENTS[name](problem).abs().sum() > 0
    except ArithmeticError:
        raised = True
    assert raised == (fails_at == "validation" or (fails_at is not None and name == "unrolled"))
    assert all(tensor.grad is gradient for tensor, gradient in gradients.items())
    assert all(torch.equal(now, then) for now, then in zip(tensors, before, strict=True))
