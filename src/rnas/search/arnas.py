"""ARNAS: alpha descends in a direction that lowers the clean and the adversarial loss at once.

    d = gamma g_clean + (1 - gamma) g_adv,   gamma = argmin over [0, 1] of || d ||
      = clip((g_adv - g_clean) g_adv / || g_adv - g_clean ||^2, 0, 1)

g_clean and g_adv are the gradients of the two validation losses of Eq. 8 in alpha. Their shortest combination
(multiple-gradient descent, MGDA) makes an angle of at most 90 degrees with both; their sum can make a greater one with
the smaller of them.

References:
    Ou et al. 2024, "Towards Accurate and Robust Architectures via Neural Architecture Search"
    (https://arxiv.org/abs/2405.05502), Section 3.
    Desideri 2012, "Multiple-gradient descent algorithm (MGDA) for multiobjective optimization".

Deviations:
    The paper's space has three kinds of cell, accurate, robust and reduction cells; of ours, DARTS has normal and
    reduction cells and NAS-Bench-201 one kind.
    As in the published code (fyqsama/ARNAS), the adversarial loss counts with a weight of 0.1, which draws d to its
    gradient. There gradients are unrolled; here as ``search.hypergradient`` says.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torch import Tensor

from rnas.config import require
from rnas.search.adversarial_darts import AdversarialDarts
from rnas.search.algorithm import ALGORITHMS, Batch, SearchState

__all__ = ["Arnas", "ArnasConfig", "share_of_first"]


@dataclass(frozen=True)
class ArnasConfig:
    """Settings of the algorithm "arnas".

    Args:
        adversarial_weight: weight of the adversarial loss, > 0. The direction of the smaller gradient counts more.
    """

    adversarial_weight: float = 0.1

    def __post_init__(self) -> None:
        """Check the range."""
        require(self.adversarial_weight > 0, "adversarial_weight", "a number > 0", self.adversarial_weight)


@ALGORITHMS.register("arnas", settings=ArnasConfig)
class Arnas(AdversarialDarts):
    """Adversarial DARTS with multiple-gradient descent in alpha."""

    def alpha_step(self, state: SearchState, batch: Batch, training: Batch) -> dict[str, float]:
        return super().alpha_step(state, batch, training) | {"gamma": self.gamma}

    def combined(self, hypergradient: Callable[..., Tensor], names: Sequence[str]) -> Tensor:  # noqa: ARG002
        clean = hypergradient("clean_loss")
        adversarial = self.own.adversarial_weight * hypergradient("adversarial_loss")
        self.gamma = share_of_first(clean, adversarial)
        return self.gamma * clean + (1 - self.gamma) * adversarial


def share_of_first(first: Tensor, second: Tensor) -> float:
    """Gamma: the part of the first gradient in the shortest combination of both, in [0, 1]; a half of equal ones."""
    difference = second - first
    length = float(difference.square().sum())
    return min(1.0, max(0.0, float((difference * second).sum()) / length)) if length else 0.5
