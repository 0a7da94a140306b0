"""Fast adversarial training: FGSM from a random start in place of PGD.

    d ~ uniform in [-eps, eps],  x~ = clip(x + clip(d + a * sign(grad_x L(x + d, y)), -eps, eps), 0, 1),  a = 1.25 eps

A step costs a quarter of one with PGD-7. The price is catastrophic overfitting: within a few batches the network learns
to withstand FGSM and nothing else. `rnas.training.collapse` watches for it.

References:
    Wong et al. 2020, "Fast is better than free: Revisiting adversarial training" (https://arxiv.org/abs/2001.03994),
    Algorithm 3.

The gradient is taken in the mode of `fast_at.mode`. By default that is evaluation mode, as in every attack here: the
images are adversarial to the network that will be evaluated, by its faster view for attacks, and the running
statistics of batch norm are those of what is learned from. The authors' code (locuslab/fast_adversarial) takes it in
training mode: there the images are adversarial to the very function that is descended, the loss is higher, and the
pass moves the running statistics as well. Set `training` to compare with it.

Deviations:
    x + d is clipped to [0, 1] before the gradient is taken, as in the authors' code.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from rnas.attacks import pgd_linf
from rnas.attacks.guards import Model
from rnas.objectives.registry import OBJECTIVES, Objective

__all__ = ["FastAt"]


@OBJECTIVES.register("fast_at")
class FastAt(Objective):
    """L = cross_entropy(model(x~), y), x~ by one step from a random start."""

    single_step = True

    def __call__(
        self, model: nn.Module, attacked: nn.Module, images: Tensor, labels: Tensor, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """Arguments and returns as in `Objective`."""
        eps, settings = self.settings.attack.eps, self.settings.fast_at
        # An attack leaves the mode of a function as it is, where it puts a module into evaluation mode.
        seen: Model = attacked if settings.mode == "evaluation" else lambda shown: model(shown)
        # Algorithm 3: the random start, the step and the projection are those of PGD with one step.
        adversarial = pgd_linf(
            seen, images, labels, eps=eps, step_size=settings.step * eps, steps=1, generator=generator
        )
        logits = model(adversarial)
        return self.cross_entropy(logits, labels), logits
