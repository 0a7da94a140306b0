"""Projection of alpha onto the set of low vulnerability (Eq. 9).

    alpha_p = argmin 1/2 ||alpha - alpha_p||^2   subject to   F(alpha_p) <= H

Both solvers work on the scaled constraint c(x) = F(x) / H - 1 <= 0, because F is of the order 1e-4, and stop where the
Karush-Kuhn-Tucker conditions hold: x - alpha + lam grad c(x) = 0, c(x) <= 0, lam >= 0, lam c(x) = 0.

References:
    RNAS, Section 4.2, Eq. 9 ("solved by a Lagrangian method").
    Nocedal & Wright 2006, "Numerical Optimization", Sections 12.3 and 18.3.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from rnas.errors import ConfigError, DivergenceError
from rnas.registry import Registry

__all__ = ["SOLVERS", "Projection", "project"]

Constraint = Callable[[Tensor], Tensor]
Solver = Callable[["ScaledConstraint", "Iterate", int, float], "Iterate"]

SOLVERS: Registry[Solver] = Registry("projection solver")

#: Give up on a step that had to be shortened this many times by half: F no longer falls along it.
MAX_HALVINGS = 12


@dataclass(frozen=True)
class Projection:
    """The projected alpha, and how well it solves Eq. 9.

    Args:
        alpha: the solution, shape of the input; if the bound was not reached, the point with the lowest F found.
        value: F there.
        start_value: F at the alpha that was given.
        bound: H.
        multiplier: lam of the scaled constraint F / H - 1; 0 where it is not active.
        kkt_residual: the largest violation of the KKT conditions; 0 is exact.
        distance: ||alpha - alpha_p||, the Euclidean norm over all entries.
        iterations: iterations made.
        feasible: whether F <= H (1 + tolerance).
        converged: whether the point is feasible and the residual within the tolerance.
    """

    alpha: Tensor
    value: float
    start_value: float
    bound: float
    multiplier: float
    kkt_residual: float
    distance: float
    iterations: int
    feasible: bool
    converged: bool

    @property
    def ratio(self) -> float:
        """F / H."""
        return self.value / self.bound


@dataclass
class Iterate:
    """A point of a solver with what is known there."""

    point: Tensor
    violation: float
    gradient: Tensor
    multiplier: float = 0.0
    iterations: int = 0

    def residual(self, anchor: Tensor) -> float:
        """The largest violation of the KKT conditions; the gradient condition relative to the distance moved."""
        stationarity = (self.point - anchor + self.multiplier * self.gradient).norm()
        scale = max(1e-12, float((self.point - anchor).norm()))
        # min(lam, -c) vanishes exactly where lam >= 0, c <= 0 and lam c = 0.
        complementarity = abs(min(self.multiplier, -self.violation)) if self.multiplier > 0 else max(0, self.violation)
        return max(float(stationarity) / scale if self.multiplier > 0 else 0.0, complementarity)


class ScaledConstraint:
    """c(x) = F(x) / H - 1 with its gradient, checked to be finite."""

    def __init__(self, constraint: Constraint, bound: float) -> None:
        self.constraint = constraint
        self.bound = bound

    def at(self, point: Tensor) -> Iterate:
        variable = point.detach().clone().requires_grad_()
        with torch.enable_grad():
            value = self.constraint(variable)
            (gradient,) = torch.autograd.grad(value, variable)
        if not (math.isfinite(float(value.detach())) and bool(gradient.isfinite().all())):
            raise DivergenceError(f"the vulnerability is not finite: F = {float(value.detach())}")
        return Iterate(variable.detach(), float(value.detach()) / self.bound - 1, gradient / self.bound)


@SOLVERS.register("linearised")
def linearised(constraint: ScaledConstraint, start: Iterate, max_iterations: int, tolerance: float) -> Iterate:
    """Project the anchor onto the half-space of the linearised constraint, again and again.

    With c and g the value and gradient at x:  lam = max(0, (c + g . (alpha - x)) / ||g||^2),  x <- alpha - lam g.
    This is sequential quadratic programming with the Hessian of the distance; a step is halved while it does not
    lower the merit 1/2 ||x - alpha||^2 + mu max(0, c), which makes it converge from afar.
    """
    anchor = start.point
    best = current = start
    penalty = 0.0
    for iteration in range(1, max_iterations + 1):
        squared_norm = float((current.gradient**2).sum())
        if squared_norm == 0.0:  # F is flat here: no direction lowers it
            break
        slope = float((current.gradient * (anchor - current.point)).sum())
        multiplier = max(0.0, (current.violation + slope) / squared_norm)
        target = anchor - multiplier * current.gradient
        penalty = max(penalty, 2 * multiplier)

        def merit(iterate: Iterate, weight: float = penalty) -> float:
            return 0.5 * float(((iterate.point - anchor) ** 2).sum()) + weight * max(0.0, iterate.violation)

        step = 1.0
        for _ in range(MAX_HALVINGS):
            candidate = constraint.at(torch.lerp(current.point, target, step))
            if merit(candidate) <= merit(current):
                break
            step /= 2
        else:
            break
        # The least-squares multiplier at the new point, which the residual is measured with.
        pull = float((candidate.gradient * (anchor - candidate.point)).sum())
        candidate.multiplier = max(0.0, pull / max(float((candidate.gradient**2).sum()), 1e-300))
        candidate.iterations = iteration
        current = candidate
        best = better(best, current, anchor, tolerance)
        if current.violation <= tolerance and current.residual(anchor) <= tolerance:
            break
    return best


@SOLVERS.register("dual_ascent")
def dual_ascent(constraint: ScaledConstraint, start: Iterate, max_iterations: int, tolerance: float) -> Iterate:
    """The paper's Lagrangian method: descend in alpha, ascend in the multiplier.

    x <- x - eta [(x - alpha) + lam g],  lam <- max(0, lam + rho c(x)),  with rho = 1 / (2 ||g||^2) from the gradient
    at the anchor, so that the pace does not depend on the scale of F, and eta = 1 / (2 + 2 lam L), where L is the
    largest curvature of c seen so far, so that a growing multiplier does not overshoot.
    """
    anchor = start.point
    best = current = start
    squared_norm = float((current.gradient**2).sum())
    if squared_norm == 0.0:
        return best
    rate = 0.5 / squared_norm
    curvature = 0.0
    for iteration in range(1, max_iterations + 1):
        multiplier = max(0.0, current.multiplier + rate * current.violation)
        descent = (current.point - anchor) + multiplier * current.gradient
        previous, current = current, constraint.at(current.point - 0.5 / (1 + multiplier * curvature) * descent)
        if (moved := float((current.point - previous.point).norm())) > 0:
            curvature = max(curvature, float((current.gradient - previous.gradient).norm()) / moved)
        current.multiplier = multiplier
        current.iterations = iteration
        best = better(best, current, anchor, tolerance)
        if current.violation <= tolerance and current.residual(anchor) <= tolerance:
            break
    return best


def better(best: Iterate, new: Iterate, anchor: Tensor, tolerance: float) -> Iterate:
    """The better of two points: feasible before infeasible, then closer to the KKT conditions or lower in F."""
    if (new.violation <= tolerance) != (best.violation <= tolerance):
        return new if new.violation <= tolerance else best
    if new.violation <= tolerance:
        return new if new.residual(anchor) <= best.residual(anchor) else best
    return new if new.violation < best.violation else best


def project(
    alpha: Tensor,
    constraint: Constraint,
    bound: float,
    *,
    solver: str = "linearised",
    max_iterations: int = 50,
    tolerance: float = 1e-3,
) -> Projection:
    """Move alpha to the nearest point whose vulnerability is within the bound (Eq. 9).

    Args:
        alpha: architecture parameters, any shape.
        constraint: F, from alpha to a scalar tensor that is differentiable in it; deterministic.
        bound: H > 0, in the units of F.
        solver: a name in `SOLVERS`: "linearised" or "dual_ascent".
        max_iterations: at most so many iterations, at least 1; each evaluates F and its gradient at least once.
        tolerance: on the relative violation F / H - 1 and on the KKT residual.

    Returns:
        The projection; a feasible alpha comes back untouched, an unreachable bound gives ``feasible=False`` and the
        point with the lowest F found.

    Raises:
        ConfigError: if the bound is not positive and finite, or `max_iterations` is below 1.
        UnknownNameError: if there is no such solver.
        DivergenceError: if F or its gradient is not finite.
    """
    if not (math.isfinite(bound) and bound > 0):
        raise ConfigError(f"bound: expected H > 0 and finite, got {bound!r}")
    if max_iterations < 1:
        raise ConfigError(f"max_iterations: expected at least 1, got {max_iterations}")
    solve = SOLVERS[solver]
    anchor = alpha.detach().clone()
    scaled = ScaledConstraint(constraint, bound)
    start = found = scaled.at(anchor)
    if start.violation > 0:
        try:
            found = solve(scaled, start, max_iterations, tolerance)
        except (DivergenceError, ArithmeticError) as error:
            # F was finite where the way began, and the bound alone says how far it leads.
            raise DivergenceError(
                f"{error}, on the way from F = {(start.violation + 1) * bound:.3g} to the bound H = {bound:.3g}",
                "a larger constraint.bound",
            ) from error
    residual = found.residual(anchor)
    feasible = found.violation <= tolerance
    return Projection(
        alpha=found.point,
        value=(found.violation + 1) * bound,
        start_value=(start.violation + 1) * bound,
        bound=bound,
        multiplier=found.multiplier,
        kkt_residual=residual,
        distance=float((found.point - anchor).norm()),
        iterations=found.iterations,
        feasible=feasible,
        converged=feasible and residual <= tolerance,
    )
