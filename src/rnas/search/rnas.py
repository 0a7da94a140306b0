"""Robust Network Architecture Search (RNAS), the paper's Algorithm 1.

    min over alpha of L_val(theta*, alpha) + L_val^adv(theta*, alpha)                                   (Eq. 8)
    subject to theta* = argmin over theta of L_train^adv(theta, alpha)  and  F(alpha) <= H

Phase I warms theta up at a fixed alpha. Each epoch of Phase II alternates u steps on theta and on alpha (Step 1), then
holds theta and projects alpha onto {F <= H} (Step 2, Eq. 9). The loop in `rnas.search.loop` calls the steps in that
order; those of Step 1 (Algorithm 1, lines 3 to 5) are in `rnas.search.darts` and `rnas.search.adversarial_darts`.

References:
    "RNAS: Robust Network Architecture Search beyond DARTS", Section 4.2 and Algorithm 1.

Deviations, where the paper is silent:
    F is defined on a fixed sample of validation images whose adversarial versions are made anew, from the same noise,
    for every alpha: one deterministic problem. Networks are in evaluation mode inside attacks and F.
    Iterations u + 1 to T are one projection of at most T - u iterations, which stops when it has converged.
    H may be relative to F at the end of the warm-up.
"""

from __future__ import annotations

from rnas.search.adversarial_darts import AdversarialDarts
from rnas.search.algorithm import ALGORITHMS, SearchState
from rnas.search.config import parse_bound
from rnas.search.projection import project

__all__ = ["RNAS"]


@ALGORITHMS.register("rnas")
class RNAS(AdversarialDarts):
    """Adversarial DARTS under the bound F <= H."""

    def end_warmup(self, state: SearchState) -> None:
        """Fix H, where it is relative to F of the warmed-up supernet."""
        value, relative = parse_bound(self.config.constraint.bound)
        state.bound = value * self.vulnerability(state) if relative else value

    def constrain(self, state: SearchState, iterations: int) -> dict[str, float]:
        """Algorithm 1, lines 8 to 11: the projection of Eq. 9."""
        assert state.bound is not None, "end_warmup fixes the bound"
        settings = self.config.constraint
        before = state.alpha.detach().clone()
        found = project(
            before,
            self.constraint(state),
            state.bound,
            solver=settings.solver,
            max_iterations=iterations,
            tolerance=settings.tolerance,
        )
        state.set_alpha(found.alpha)
        return {
            "before": found.start_value,
            "after": found.value,
            "bound": found.bound,
            "ratio": found.ratio,
            "multiplier": found.multiplier,
            "kkt_residual": found.kkt_residual,
            "distance": found.distance,
            "iterations": found.iterations,
            "feasible": found.feasible,
            "none_before": state.space.none_weight(before),
            "none_after": state.space.none_weight(found.alpha),
        }
