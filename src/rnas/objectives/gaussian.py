"""Noise augmentation: training for the images that a smoothed model shows its network.

    L = cross_entropy(f_theta(x + e), y),  e ~ N(0, sigma^2 I)

A network that has seen no noise says little under it, and its smoothed model is certified nowhere. Train with the sigma
that is smoothed with.

References:
    Lecuyer et al. 2019, "Certified Robustness to Adversarial Examples with Differential Privacy"
    (https://arxiv.org/abs/1802.03471), who train so.
    Cohen et al. 2019, "Certified Adversarial Robustness via Randomized Smoothing" (https://arxiv.org/abs/1902.02918),
    Section 3.3.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from rnas.attacks.projected_gradient import beside
from rnas.objectives.registry import OBJECTIVES, Objective

__all__ = ["Gaussian"]


@OBJECTIVES.register("gaussian")
class Gaussian(Objective):
    """L = cross_entropy(model(x + e), y), e normal."""

    attacks = False

    def __call__(
        self,
        model: nn.Module,
        attacked: nn.Module,  # noqa: ARG002 - one signature for all objectives
        images: Tensor,
        labels: Tensor,
        generator: torch.Generator,
    ) -> tuple[Tensor, Tensor]:
        """Arguments and returns as in `Objective`; the logits are those of the noisy images."""
        logits = model(beside(images, self.settings.gaussian.sigma, generator))
        return self.cross_entropy(logits, labels), logits
