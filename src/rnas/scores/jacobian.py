"""The size of the logits' Jacobian in the image: how far a small change of an image can move them.

    - mean over images of || d f(x) / d x ||_F

References:
    Hosseini et al. 2021, "DSRNA: Differentiable Search of Robust Neural Architectures"
    (https://arxiv.org/abs/2012.06122), Section 3.2: the norm as a measure of robustness.
    Jung et al. 2023, "Neural Architecture Design and Robustness: A Dataset" (https://arxiv.org/abs/2306.06712), Section
    4.2: its rank correlation with robust accuracy on NAS-Bench-201.

Deviations:
    Of fresh weights, where both measure trained ones. Batch norms have the statistics of the images, so that a
    network's scale does not decide. With a minus, so that higher means more robust.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from rnas.scores.registry import SCORES, calibrated


@SCORES.register("jacobian", passes=2)
def jacobian(network: nn.Module, images: Tensor, labels: Tensor, generator: torch.Generator) -> float:  # noqa: ARG001
    """Minus the mean Frobenius norm of the Jacobian."""
    measured = calibrated(network, images)
    inputs = images.detach().clone().requires_grad_()
    logits = measured(inputs)
    squares = torch.zeros(len(images), dtype=torch.float64, device=images.device)
    for label in range(logits.shape[1]):
        (gradient,) = torch.autograd.grad(logits[:, label].sum(), inputs, retain_graph=True)
        squares += gradient.double().square().flatten(1).sum(dim=1)
    return -float(squares.sqrt().mean())
