"""Adversarial training on PGD examples (PGD-AT).

    min over theta of E [ max over ||x~ - x||_inf <= eps of cross_entropy(f_theta(x~), y) ]

The inner maximum is approximated by PGD from a random start. PGD sees the network in evaluation mode, as every attack
here does, so that batch statistics are those of training images only.

References:
    Madry et al. 2018, "Towards Deep Learning Models Resistant to Adversarial Attacks"
    (https://arxiv.org/abs/1706.06083), Eq. 2.1.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from rnas.objectives.registry import OBJECTIVES, Objective

__all__ = ["PgdAt"]


@OBJECTIVES.register("pgd_at")
class PgdAt(Objective):
    """L = cross_entropy(model(x~), y), x~ by PGD."""

    def __call__(
        self, model: nn.Module, attacked: nn.Module, images: Tensor, labels: Tensor, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """Arguments and returns as in `Objective`."""
        logits = model(self.pgd_examples(attacked, images, labels, generator))
        return self.cross_entropy(logits, labels), logits  # Equation 2.1, outer minimisation
