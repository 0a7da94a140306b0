"""Adversarial DARTS: the problem of RNAS without its bound.

    min over alpha of L_val(theta*, alpha) + L_val^adv(theta*, alpha)
    subject to theta* = argmin over theta of L_train^adv(theta, alpha)

References:
    "RNAS: Robust Network Architecture Search beyond DARTS", Eq. 8 without the constraint.

Deviations:
    The search script that the authors published (hye999/RNAS, search.py) has no bound either, but is another algorithm:
    its validation loss is the adversarial one alone; its gradient in alpha is unrolled, but its difference quotient is
    multiplied by the small step where it has to be divided by it (architect.py), so that the second-order term vanishes
    and the gradient at the stepped weights is left; its warm-up takes 10 epochs.
"""

from __future__ import annotations

from torch import Tensor

from rnas.search.algorithm import ALGORITHMS, Batch, SearchState
from rnas.search.constraint import adversarial_images
from rnas.search.darts import Darts

__all__ = ["AdversarialDarts"]


@ALGORITHMS.register("adversarial_darts")
class AdversarialDarts(Darts):
    """DARTS on adversarial training images, and on clean and adversarial validation images."""

    def training_images(self, state: SearchState, weights: Tensor, batch: Batch) -> Tensor:
        return adversarial_images(state, weights, batch, self.config.attack)

    def validation_images(self, state: SearchState, weights: Tensor, batch: Batch) -> dict[str, Tensor]:
        # Equation 8, the objective.
        adversarial = adversarial_images(state, weights, batch, self.config.attack)
        return super().validation_images(state, weights, batch) | {"adversarial_loss": adversarial}
