"""The unrolled hypergradient: the weights after one step of their optimiser stand for the optimal ones.

    w'(alpha) = w - xi grad_w L_train(w, alpha)                                                            (Eq. 6)
    d/d alpha L_val(w'(alpha), alpha) = grad_alpha L_val(w', alpha) - xi H v,                              (Eq. 7)
        where v = grad_w' L_val(w', alpha) and H is the matrix of second derivatives of L_train in alpha and w
    H v = [grad_alpha L_train(w + eps v, alpha) - grad_alpha L_train(w - eps v, alpha)] / (2 eps)          (Eq. 8)
        with eps = 0.01 / ||v||

References:
    Liu et al. 2019, "DARTS: Differentiable Architecture Search" (https://arxiv.org/abs/1806.09055), Section 2.3.

Deviations:
    The step is the one that the weights' optimiser would take, with its momentum, decay and clipping, so -xi v is
    replaced by what the step's Jacobian makes of v. For a plain step this is -xi v itself.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from rnas.hypergradients.registry import HYPERGRADIENTS, BilevelProblem, gradients, unchanged

__all__ = ["unrolled"]

#: The distance of the two points of Eq. 8 from the weights, in the Euclidean norm over all weights.
RADIUS = 0.01


@HYPERGRADIENTS.register("unrolled")
def unrolled(problem: BilevelProblem) -> Tensor:
    """The derivative of L_val(w'(alpha), alpha) in alpha. Costs four backward passes, three of the training loss."""
    weights = problem.weights
    with unchanged([*weights, *problem.buffers]) as before:
        origin = before[: len(weights)]
        slopes = [slope.requires_grad_() for slope in gradients(problem.training_loss(), weights)]
        stepped = problem.virtual_step(slopes)  # Equation 6
        assign(weights, stepped)
        partial, *vector = gradients(problem.validation_loss(), [problem.alpha, *weights])
        # Equation 7: -xi v, for a plain step.
        direction = torch.autograd.grad(stepped, slopes, vector, allow_unused=True, materialize_grads=True)
        length = float(torch.nn.utils.get_total_norm(direction))
        if length == 0:
            return partial
        eps = RADIUS / length
        ends = []
        for sign in (1, -1):
            assign(weights, [value + sign * eps * part for value, part in zip(origin, direction, strict=True)])
            ends.extend(gradients(problem.training_loss(), [problem.alpha]))
        return partial + (ends[0] - ends[1]) / (2 * eps)  # Equation 8


@torch.no_grad()
def assign(weights: Sequence[Tensor], values: Sequence[Tensor]) -> None:
    """Write values into weights."""
    for weight, value in zip(weights, values, strict=True):
        weight.copy_(value)
