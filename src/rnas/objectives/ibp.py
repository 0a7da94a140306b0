"""Training on interval bounds (IBP): the loss of the worst logits that an image's ball can have.

    L = kappa cross_entropy(z(x), y) + (1 - kappa) cross_entropy(z^(x, eps), y)

z^ holds for each class but the label's an upper bound of its logit minus the label's, by intervals, and 0 for the
label. First only the clean loss is descended; then eps rises from 0 to the attack's, and kappa falls from 1 to its last
value.

References:
    Gowal et al. 2018, "On the Effectiveness of Interval Bound Propagation for Training Verifiably Robust Models"
    (https://arxiv.org/abs/1810.12715), Section 3, Eq. 10 to 13; warm-up and ramp in their Section 4.

Deviations:
    The parts of warm-up and ramp are of all steps; with the defaults, a tenth and a half. Networks with batch norm are
    bounded in training mode: its statistics are those of the clean batch, as if they were constants, with gradients
    (Zhang et al. 2019 do so too); the publication has none. The smoothing of labels, if any, is that of both losses.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from rnas.certification.program import Program, interval_margins, trace
from rnas.objectives.config import IbpConfig
from rnas.objectives.registry import OBJECTIVES, Objective

__all__ = ["Ibp"]


@OBJECTIVES.register("ibp")
class Ibp(Objective):
    """Cross-entropy of clean logits and of the worst ones."""

    attacks = False
    program: Program | None = None

    @property
    def own(self) -> IbpConfig:
        """The settings of this objective."""
        return self.settings.ibp

    @property
    def risen(self) -> float:
        """How far eps has risen, in [0, 1]."""
        return min(1.0, max(0.0, (self.progress - self.own.warmup) / self.own.ramp))

    def __call__(
        self,
        model: nn.Module,
        attacked: nn.Module,  # noqa: ARG002 - one signature for all objectives
        images: Tensor,
        labels: Tensor,
        generator: torch.Generator,  # noqa: ARG002
    ) -> tuple[Tensor, Tensor]:
        """Arguments and returns as in `Objective`; the logits are the worst ones, once there is a ball."""
        if self.program is None or self.program.model is not model:
            self.program = trace(model, images.shape[1:], batch_statistics=True)
        clean = model(images)
        loss = self.cross_entropy(clean, labels)
        if not self.risen:
            return loss, clean
        kappa = 1 - (1 - self.own.kappa) * self.risen
        worst = -self.margins(self.program, images, labels, self.risen * self.settings.attack.eps)  # Equation 12
        return kappa * loss + (1 - kappa) * self.cross_entropy(worst, labels), worst  # Equation 13

    def margins(self, program: Program, images: Tensor, labels: Tensor, eps: float) -> Tensor:
        """The lower bounds of the margins, shape (N, classes)."""
        return interval_margins(program, images, labels, eps)
