"""TRADES: accuracy on clean images, and predictions that change little around them.

    min over theta of E [ cross_entropy(f(x), y) + beta * max over ||x~ - x||_inf <= eps of KL(p(x) || p(x~)) ]

p is the softmax of the network's logits. The inner maximum is approximated by signed ascent from a point beside x.

References:
    Zhang et al. 2019, "Theoretically Principled Trade-off between Robustness and Accuracy"
    (https://arxiv.org/abs/1901.08573), Eq. 5 with beta = 1 / lambda, and Algorithm 1; the direction of the divergence
    is that of the authors' code (yaodongyu/TRADES).

Deviations:
    In training mode the clean batch passes the network once and both losses share its logits; in the authors' code it
    passes twice, before and after the adversarial one, with the same logits. Gradients are equal, and one training pass
    of three is saved; but the running statistics of batch norm, at momentum 0.1, are those of clean and adversarial
    images at 47:53, where the authors' are at 67:33.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from rnas.attacks import pgd_kl
from rnas.attacks.divergence import kl_divergence
from rnas.objectives.registry import OBJECTIVES, Objective

__all__ = ["Trades"]


@OBJECTIVES.register("trades")
class Trades(Objective):
    """L = cross_entropy(model(x), y) + beta KL(p(x) || p(x~)), x~ by ascent of the divergence."""

    def __call__(
        self, model: nn.Module, attacked: nn.Module, images: Tensor, labels: Tensor, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """Arguments and returns as in `Objective`; the logits are those of the adversarial images."""
        attack = self.settings.attack
        adversarial = pgd_kl(attacked, images, labels, **vars(attack), generator=generator)
        clean, logits = model(images), model(adversarial)
        divergence = kl_divergence(clean, logits).mean()
        beta = self.settings.trades.beta
        return self.weigh(self.cross_entropy(clean, labels), "trades.beta", beta, divergence), logits  # Equation 5
