"""ZiCo: layers learn fast and generalise whose gradients are large and agree between batches.

    sum over layers of log( sum over the layer's weights of E|g| / std(g) )

g is the gradient of the cross-entropy in a weight, E and std are over mini-batches, here the two halves of the images.

References:
    Li et al. 2023, "ZiCo: Zero-shot NAS via inverse coefficient of variation on gradients"
    (https://arxiv.org/abs/2301.11300), Eq. 13.

Deviations:
    As in the published code, weights whose gradients do not differ between the batches are left out, and E|g| is the
    mean of the absolute gradients of the batches.
"""

from __future__ import annotations

import copy
import math

import torch
from torch import Tensor, nn

from rnas.scores.registry import SCORES, gradients


@SCORES.register("zico", passes=2)
def zico(network: nn.Module, images: Tensor, labels: Tensor, generator: torch.Generator) -> float:  # noqa: ARG001
    """The sum over layers of the logarithm of the inverse coefficients of variation."""
    fresh = copy.deepcopy(network).train()
    batches = [gradients(fresh, *half) for half in zip(images.chunk(2), labels.chunk(2), strict=True)]
    total = 0.0
    for name in batches[0]:
        stacked = torch.stack([batch[name].double() for batch in batches])
        deviation = stacked.std(dim=0, correction=0)
        differ = deviation > 0
        inverse = float((stacked.abs().mean(dim=0)[differ] / deviation[differ]).sum())
        total += math.log(inverse) if inverse > 0 else 0.0
    return total
