"""Beta-DARTS: a penalty on alpha that keeps the probabilities of its operations close to each other.

    min over alpha of L_val(theta*, alpha) + L_val^adv(theta*, alpha) + lambda L_beta(alpha)
    L_beta = mean over edges of log sum over o of exp(alpha_o)                     (Beta-Decay, a smooth maximum)

Its gradient in alpha_o is lambda softmax(alpha)_o: a strong operation is pulled down faster than a weak one, so that an
early lead, mostly that of skip connections, does not grow by itself. Lambda rises linearly, from 0 at the first step on
alpha to `weight` at the end.

References:
    Ye et al. 2022, "beta-DARTS: Beta-Decay Regularization for Differentiable Architecture Search"
    (https://arxiv.org/abs/2203.01665), Section 3.

Deviations:
    Losses are those of Eq. 8; the paper's are clean.
    As in the published code (Sunshine-Ye/Beta-DARTS, optimizers/darts/architect.py), L_beta is a mean over edges, and
    the decay of Adam on alpha stays beside it. That code has one kind of cell; here the means of the kinds are added.
    The authors have no warm-up; lambda rises after it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from rnas.config import require
from rnas.search.adversarial_darts import AdversarialDarts
from rnas.search.algorithm import ALGORITHMS, Batch, SearchState
from rnas.supernets.base import SupernetAt

__all__ = ["BetaDarts", "BetaDartsConfig"]


@dataclass(frozen=True)
class BetaDartsConfig:
    """Settings of the algorithm "beta_darts".

    Args:
        weight: lambda at the end of the search, >= 0; the authors' code has 50 after 100 epochs.
    """

    weight: float = 50.0

    def __post_init__(self) -> None:
        """Check the range."""
        require(self.weight >= 0, "weight", "a number >= 0", self.weight)


@ALGORITHMS.register("beta_darts", settings=BetaDartsConfig)
class BetaDarts(AdversarialDarts):
    """Adversarial DARTS with Beta-Decay."""

    def penalties(
        self,
        state: SearchState,
        architecture: Sequence[Tensor],
        network: SupernetAt,  # noqa: ARG002
        batch: Batch,  # noqa: ARG002
    ) -> dict[str, Tensor]:
        warm = self.config.warmup_epochs
        weight = self.own.weight * (state.epoch - warm) / (self.config.epochs - warm)
        return {"beta_decay": weight * architecture[0].logsumexp(dim=-1).mean(dim=-1).sum()}
