"""Eq. 9 against projections with a known answer, by both solvers."""

import math

import pytest
import torch
from torch import Tensor

from rnas.errors import ConfigError, DivergenceError, UnknownNameError
from rnas.search.projection import SOLVERS, project

pytestmark = pytest.mark.parametrize("solver", list(SOLVERS))


def test_half_space(solver: str) -> None:
    normal = torch.tensor([3.0, -1.0, 2.0], dtype=torch.float64)
    alpha = torch.tensor([1.0, 1.0, 1.0], dtype=torch.float64)
    found = project(alpha, lambda x: normal @ x, 1.0, solver=solver, max_iterations=500, tolerance=1e-8)
    expected = alpha - (normal @ alpha - 1.0) / (normal @ normal) * normal
    assert torch.allclose(found.alpha, expected, atol=1e-6)
    assert found.converged
    assert found.multiplier == pytest.approx(float((normal @ alpha - 1.0) / (normal @ normal)), rel=1e-4)
    assert found.distance == pytest.approx(float((expected - alpha).norm()), rel=1e-6)
    assert found.start_value == pytest.approx(4.0)


@pytest.mark.parametrize("distance", [1.5, 3.0])
def test_ball(solver: str, distance: float) -> None:
    """The squared distance from a centre at most 1: the solution lies on the line to the centre."""
    centre = torch.tensor([[0.2, -0.4], [0.1, 0.3]], dtype=torch.float64)
    direction = torch.tensor([[0.5, 0.5], [-0.5, 0.5]], dtype=torch.float64)
    alpha = centre + distance * direction
    found = project(alpha, lambda x: ((x - centre) ** 2).sum(), 1.0, solver=solver, max_iterations=2000, tolerance=1e-7)
    assert torch.allclose(found.alpha, centre + direction, atol=1e-5)
    assert found.converged
    assert found.ratio == pytest.approx(1.0, abs=1e-6)


def test_two_active_directions(solver: str) -> None:
    """An ellipse that curves unequally: the KKT conditions are solved by bisection on the multiplier."""
    curvature = torch.tensor([1.0, 3.0], dtype=torch.float64)
    alpha = torch.tensor([1.2, 0.9], dtype=torch.float64)
    low, high = 0.0, 10.0
    for _ in range(200):
        middle = (low + high) / 2
        point = alpha / (1 + 2 * middle * curvature)
        low, high = (middle, high) if float((curvature * point**2).sum()) > 1 else (low, middle)
    found = project(alpha, lambda x: (curvature * x**2).sum(), 1.0, solver=solver, max_iterations=2000, tolerance=1e-7)
    assert found.converged
    assert torch.allclose(found.alpha, point, atol=1e-5)


def test_a_scale_of_1e_4_changes_nothing(solver: str) -> None:
    alpha = torch.tensor([2.0, 1.0], dtype=torch.float64)
    plain = project(alpha, lambda x: (x**2).sum(), 1.0, solver=solver, max_iterations=300)
    scaled = project(alpha, lambda x: 1e-4 * (x**2).sum(), 1e-4, solver=solver, max_iterations=300)
    assert torch.allclose(plain.alpha, scaled.alpha)


def test_a_feasible_alpha_is_untouched(solver: str) -> None:
    alpha = torch.randn(2, 3, 4)
    before = alpha.clone()
    found = project(alpha, lambda x: (x**2).sum(), 1e3, solver=solver)
    assert torch.equal(found.alpha, before)
    assert torch.equal(alpha, before)
    assert (found.iterations, found.distance, found.multiplier, found.kkt_residual) == (0, 0.0, 0.0, 0.0)
    assert found.converged


def test_an_unreachable_bound_gives_the_closest_point_and_says_so(solver: str) -> None:
    """F is at least 1 everywhere; the bound is a half."""
    alpha = torch.tensor([2.0, -1.0], dtype=torch.float64)
    found = project(alpha, lambda x: 1 + (x**2).sum(), 0.5, solver=solver, max_iterations=200)
    assert not found.feasible
    assert not found.converged
    assert found.value < 1 + 0.2 * 5.0  # F was 6


def test_a_flat_constraint_gives_up_at_once(solver: str) -> None:
    found = project(torch.ones(3), lambda x: 2.0 + 0.0 * x.sum(), 1.0, solver=solver)
    assert not found.feasible
    assert found.iterations == 0


def test_noise_in_the_constraint_still_ends_near_the_bound(solver: str) -> None:
    """F recomputed against an adapting adversary is not quite smooth."""
    alpha = torch.tensor([1.5, 0.5], dtype=torch.float64)

    def rough(x: Tensor) -> Tensor:
        return (x**2).sum() + 1e-3 * math.sin(1e4 * float(x.detach().sum()))

    found = project(alpha, rough, 1.0, solver=solver, max_iterations=200, tolerance=1e-2)
    assert found.feasible
    assert abs(found.distance - (float(alpha.norm()) - 1)) < 0.02


def test_bad_arguments_are_named(solver: str) -> None:
    alpha = torch.ones(2)
    for bound in (0.0, -1.0, math.inf, math.nan):
        with pytest.raises(ConfigError, match="expected H > 0"):
            project(alpha, torch.sum, bound, solver=solver)
    with pytest.raises(ConfigError, match="max_iterations"):
        project(alpha, torch.sum, 1.0, solver=solver, max_iterations=0)
    with pytest.raises(UnknownNameError, match="linearised"):
        project(alpha, torch.sum, 1.0, solver=solver + "x")
    with pytest.raises(DivergenceError, match="not finite"):
        project(alpha, lambda x: (x / 0).sum(), 1.0, solver=solver)
