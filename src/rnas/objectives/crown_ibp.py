"""Training on linear bounds whose units inside are bounded by intervals (CROWN-IBP).

    L = kappa cross_entropy(z(x), y) + (1 - kappa) cross_entropy(-(beta m_linear + (1 - beta) m_interval), y)

m are lower bounds of the margins. Warm-up and ramp are those of IBP; as eps rises, beta falls from 1 to its last value.

References:
    Zhang et al. 2019, "Towards Stable and Efficient Training of Verifiably Robust Neural Networks"
    (https://arxiv.org/abs/1906.06316), Section 3.2, Eq. 12 and 13.

Deviations:
    m_linear is nowhere below m_interval. Those of IBP.
"""

from __future__ import annotations

from torch import Tensor

from rnas.certification.program import Program, crown_ibp_margins, interval_margins
from rnas.objectives.config import CrownIbpConfig
from rnas.objectives.ibp import Ibp
from rnas.objectives.registry import OBJECTIVES

__all__ = ["CrownIbp"]


@OBJECTIVES.register("crown_ibp")
class CrownIbp(Ibp):
    """IBP with better bounds while eps rises."""

    @property
    def own(self) -> CrownIbpConfig:
        return self.settings.crown_ibp

    def margins(self, program: Program, images: Tensor, labels: Tensor, eps: float) -> Tensor:
        beta = 1 - (1 - self.own.beta) * self.risen
        if not beta:
            return interval_margins(program, images, labels, eps)
        if beta == 1:
            return crown_ibp_margins(program, images, labels, eps)
        tape = program.tape(images)
        intervals = interval_margins(program, images, labels, eps, tape)
        return beta * crown_ibp_margins(program, images, labels, eps, tape) + (1 - beta) * intervals  # Equation 13
