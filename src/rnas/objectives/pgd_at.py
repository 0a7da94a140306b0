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
from torch.nn import functional as F

from rnas.attacks import pgd_linf
from rnas.config import PgdConfig
from rnas.objectives.registry import OBJECTIVES

__all__ = ["pgd_at"]


@OBJECTIVES.register("pgd_at")
def pgd_at(
    model: nn.Module, images: Tensor, labels: Tensor, *, attack: PgdConfig, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """L = cross_entropy(model(x~), y), x~ by PGD. Arguments and returns as in `Objective`."""
    adversarial = pgd_linf(
        model, images, labels, eps=attack.eps, step_size=attack.step_size, steps=attack.steps, generator=generator
    )
    logits = model(adversarial)  # Equation 2.1, outer minimisation
    return F.cross_entropy(logits, labels), logits
