"""Search on sampled single paths, with adversarial losses: adversarial DARTS whose supernet is trained path by path.

Each step draws one operation an edge with the probabilities softmax(alpha), by the Gumbel-max trick, and trains only
the drawn path; alpha gets its gradient through the relaxed sample. The weights of an operation are thus trained as a
part of discrete networks, as which the found one will be used, and not of a mixture.

References:
    Dong and Yang 2019, "Searching for a Robust Neural Architecture in Four GPU Hours"
    (https://arxiv.org/abs/1910.04465), Section 3.2.

Deviations:
    Losses are those of Eq. 8. The temperature is 1 throughout. A step on alpha computes all operations on the drawn
    path, so that each gets its gradient (`rnas.search.relaxations`).
"""

from __future__ import annotations

from rnas.search.adversarial_darts import AdversarialDarts
from rnas.search.algorithm import ALGORITHMS
from rnas.search.relaxations import SAMPLED_PATHS

__all__ = ["Gdas"]


@ALGORITHMS.register("gdas")
class Gdas(AdversarialDarts):
    """Adversarial DARTS on sampled paths."""

    relaxation = SAMPLED_PATHS
