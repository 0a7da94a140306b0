"""From alpha to the weights of the operations: all of them mixed, or one path sampled.

References:
    Liu et al. 2019, DARTS (https://arxiv.org/abs/1806.09055), Eq. 2: the mixture.
    Jang et al. 2017 (https://arxiv.org/abs/1611.01144), Sections 2.1 and 2.2: Gumbel-softmax, straight through.
    Dong and Yang 2019, GDAS (https://arxiv.org/abs/1910.04465), Section 3.2: one sampled path of the supernet a step.
    Xie et al. 2019, SNAS (https://arxiv.org/abs/1812.09926): the relaxed sample without the argmax.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

__all__ = ["MIXTURE", "SAMPLED_PATHS", "Relaxation", "relaxed_sample"]


@dataclass(frozen=True)
class Relaxation:
    """How alpha weighs the operations. Alpha and the weights have the shape (kinds, edges, operations).

    Args:
        weights: (alpha, generator) to the weights of one step, differentiable in alpha.
        smooth_weights: the same as a smooth function of alpha, on which a constraint can be linearised.
        sparse: whether most weights of a step are 0.
    """

    weights: Callable[[Tensor, torch.Generator], Tensor]
    smooth_weights: Callable[[Tensor, torch.Generator], Tensor]
    sparse: bool


def mixture(alpha: Tensor, generator: torch.Generator) -> Tensor:  # noqa: ARG001 - one signature for all
    """The softmax of alpha (Eq. 1)."""
    return alpha.softmax(dim=-1)


def gumbel(like: Tensor, generator: torch.Generator) -> Tensor:
    """Standard Gumbel noise in the shape of a tensor."""
    return torch.empty_like(like).exponential_(generator=generator).log().neg()


def relaxed_sample(alpha: Tensor, generator: torch.Generator, temperature: float = 1.0) -> Tensor:
    """The softmax of alpha with Gumbel noise (Jang et al., Eq. 2); the lower the temperature, the closer to 0 and 1."""
    return ((alpha + gumbel(alpha, generator)) / temperature).softmax(dim=-1)


def sampled_path(alpha: Tensor, generator: torch.Generator) -> Tensor:
    """One operation an edge, drawn with the probabilities softmax(alpha): weights of 0 and 1.

    The gradient in alpha is that of the relaxed sample (straight through). GDAS computes only the drawn operations and
    so gives the others no gradient of their own; here a pass whose weights ask for a gradient computes all.
    """
    relaxed = relaxed_sample(alpha, generator)
    drawn = F.one_hot(relaxed.argmax(dim=-1), relaxed.shape[-1]).to(relaxed.dtype)
    return drawn + relaxed - relaxed.detach() if alpha.requires_grad else drawn


def rival(scores: Tensor, generator: torch.Generator) -> Tensor:
    """Scores of operations with Gumbel noise of the size of their own differences: near ones, whatever their scale."""
    return scores + scores.std(dim=-1).mean() * gumbel(scores, generator)


MIXTURE = Relaxation(mixture, mixture, sparse=False)
SAMPLED_PATHS = Relaxation(sampled_path, relaxed_sample, sparse=True)
