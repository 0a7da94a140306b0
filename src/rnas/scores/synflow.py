"""SynFlow: how much of each weight arrives at the output, without looking at data.

    log sum over theta of |theta| dR / d|theta|,   R = 1^T f(1; |theta|)

The input is one image of ones, every parameter is replaced by its absolute value, and no layer normalises: batch norms
are in evaluation mode with their fresh statistics, which makes them the identity.

References:
    Tanaka et al. 2020, "Pruning neural networks without any data by iteratively conserving synaptic flow"
    (https://arxiv.org/abs/2006.05467), Eq. 1 and Algorithm 1.
    Abdelfattah et al. 2021, "Zero-cost proxies for lightweight NAS" (https://arxiv.org/abs/2101.08134), Section 3.2,
    for the sum over a network as its score.

Deviations:
    The logarithm, which keeps the order: the sum itself has up to a hundred digits. In double precision, as the
    published code has it. Our networks normalise images by their first layer; here that layer is the identity too.
"""

from __future__ import annotations

import copy
import math

import torch
from torch import Tensor, nn

from rnas.networks.normalise import Normalise
from rnas.scores.registry import SCORES


@SCORES.register("synflow", passes=1)
def synflow(network: nn.Module, images: Tensor, labels: Tensor, generator: torch.Generator) -> float:  # noqa: ARG001
    """The logarithm of the synaptic flow."""
    linear = copy.deepcopy(network).double().eval()
    for module in linear.modules():
        if isinstance(module, Normalise):
            module.mean.zero_()
            module.deviation.fill_(1.0)
        elif isinstance(module, nn.BatchNorm2d):
            module.reset_running_stats()
    weights = list(linear.parameters())
    with torch.no_grad():
        for weight in weights:
            weight.abs_()
    flow = linear(torch.ones_like(images[:1], dtype=torch.float64)).sum()
    found = torch.autograd.grad(flow, weights, allow_unused=True)
    terms = [
        float((weight.detach() * gradient).sum())
        for weight, gradient in zip(weights, found, strict=True)
        if gradient is not None
    ]
    total = math.fsum(terms)
    return math.log(total) if total > 0 else -math.inf
