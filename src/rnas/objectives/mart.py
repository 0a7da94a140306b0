"""MART: adversarial training that weighs misclassified images more.

    BCE(p(x~), y) = -log p_y(x~) - log(1 - max over k != y of p_k(x~))       (boosted cross-entropy)
    L = mean of [ BCE(p(x~), y) + beta * KL(p(x) || p(x~)) * (1 - p_y(x)) ]

p is the softmax of the network's logits, x~ comes of PGD on the cross-entropy, from x + 0.001 * N(0, 1) as in the
authors' code.

References:
    Wang et al. 2020, "Improving Adversarial Robustness Requires Revisiting Misclassified Examples"
    (https://openreview.net/forum?id=rklOg6EFwS), Section 3.2, beta being their lambda; the start is that of the
    authors' code (YisenWang/MART).

Deviations:
    The start is clipped to the ball and to [0, 1]. Logarithms are taken of the logits, where the authors add small
    constants to probabilities. The smoothing of labels, if any, is that of -log p_y(x~).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from rnas.attacks import pgd_linf
from rnas.attacks.divergence import kl_divergence
from rnas.attacks.projected_gradient import START
from rnas.objectives.registry import OBJECTIVES, Objective

__all__ = ["Mart", "log_rest"]


@OBJECTIVES.register("mart")
class Mart(Objective):
    """The boosted cross-entropy on x~, and the divergence of predictions weighted by how wrong the clean one is."""

    def __call__(
        self, model: nn.Module, attacked: nn.Module, images: Tensor, labels: Tensor, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """Arguments and returns as in `Objective`."""
        attack = vars(self.settings.attack)
        adversarial = pgd_linf(attacked, images, labels, **attack, random_start=START, generator=generator)
        clean, logits = model(images), model(adversarial)
        boosted = self.cross_entropy(logits, labels) - log_rest(logits, labels).mean()  # BCE
        wrong = 1 - clean.softmax(dim=1).gather(1, labels.unsqueeze(1)).squeeze(1)
        divergence = (kl_divergence(clean, logits) * wrong).mean()
        return self.weigh(boosted, "mart.beta", self.settings.mart.beta, divergence), logits  # Section 3.2


def log_rest(logits: Tensor, labels: Tensor) -> Tensor:
    """log(1 - max over k != y of p_k), without the cancellation of 1 - p.

    Args:
        logits: shape (N, classes), at least two classes.
        labels: shape (N,), int64.

    Returns:
        Shape (N,), <= 0.
    """
    strongest = logits.scatter(1, labels.unsqueeze(1), float("-inf")).argmax(dim=1, keepdim=True)
    others = logits.scatter(1, strongest, float("-inf"))
    return others.logsumexp(dim=1) - logits.logsumexp(dim=1)
