"""The first-order hypergradient: the weights are taken for optimal, and for independent of alpha.

References:
    Liu et al. 2019, "DARTS: Differentiable Architecture Search" (https://arxiv.org/abs/1806.09055), Section 2.3:
    Eq. 6 with xi = 0.
"""

from __future__ import annotations

from torch import Tensor

from rnas.hypergradients.registry import HYPERGRADIENTS, BilevelProblem, gradients, unchanged

__all__ = ["first_order"]


@HYPERGRADIENTS.register("first_order")
def first_order(problem: BilevelProblem) -> Tensor:
    """The partial derivative of L_val(w, alpha) in alpha. Costs one backward pass; needs no training loss."""
    with unchanged(problem.buffers):
        (partial,) = gradients(problem.validation_loss(), [problem.alpha])  # Equation 6, xi = 0
    return partial
