"""How fast interval bounds widen: about how large a ball they could prove around an image.

    log( mean |m| / mean (m - m_low(eps)) / eps ),   m = z_y - z_j

m are the margins of the label over all other classes and m_low their lower bounds by intervals in a ball of radius eps,
so small that no unit is switched on: the logarithm of the radius at which a margin of the common size is used up.

References:
    Gowal et al. 2018, "On the Effectiveness of Interval Bound Propagation" (https://arxiv.org/abs/1810.12715): the
    bounds.
    Hosseini et al. 2021, "DSRNA: Differentiable Search of Robust Neural Architectures"
    (https://arxiv.org/abs/2012.06122), Section 3.1: a certified bound as a measure of an architecture's robustness.

Deviations:
    Of fresh weights, where DSRNA measures those of its supernet: hence the size of the margins and not their sign.
    Batch norms have the statistics of the images. In double precision.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from rnas.certification.program import interval_margins, trace
from rnas.scores.registry import SCORES, calibrated

EPS = 1e-9


@SCORES.register("interval_bound", passes=4)
@torch.no_grad()
def interval_bound(network: nn.Module, images: Tensor, labels: Tensor, generator: torch.Generator) -> float:  # noqa: ARG001
    """The logarithm of the radius."""
    measured, shown = calibrated(network, images).double(), images.double()
    program = trace(measured, images.shape[1:])
    tape = program.tape(shown)
    margins, low = (interval_margins(program, shown, labels, eps, tape) for eps in (0.0, EPS))
    slope = float((margins - low).mean()) / EPS
    size = float(margins.abs().mean())
    return math.log(size / slope) if size and slope else -math.inf
