"""Ascent of the divergence between the predictions for an image and for its neighbours, which needs no label.

Zhang et al., "Theoretically Principled Trade-off between Robustness and Accuracy", ICML 2019, Algorithm 1, lines 5 to
8. From a point beside x, which is a minimum of what is climbed:

    x_0 = x + 0.001 * N(0, 1)
    x_{t+1} = P_B(x_t + step_size * sign(grad_x' KL(p(x) || p(x')) at x_t))
"""

from __future__ import annotations

import torch
from torch import Tensor

from rnas.attacks.guards import Model, check_at_least, check_distance, guarded
from rnas.attacks.projected_gradient import START, ascend, beside

__all__ = ["kl_divergence", "pgd_kl"]


def kl_divergence(logits: Tensor, others: Tensor) -> Tensor:
    """KL(p || q) of each image, p and q being the softmax of logits.

    Args:
        logits: of p, shape (N, classes).
        others: of q, the same shape.

    Returns:
        Shape (N,), in nats, >= 0 up to rounding.
    """
    log_p, log_q = logits.log_softmax(dim=1), others.log_softmax(dim=1)
    return (log_p.exp() * (log_p - log_q)).sum(dim=1)


@guarded
def pgd_kl(
    model: Model,
    images: Tensor,
    labels: Tensor,  # noqa: ARG001 - one signature for all attacks
    *,
    eps: float,
    step_size: float,
    steps: int,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Attack by projected signed gradient steps on KL(p(x) || p(x')); the result is the last iterate.

    Source: Zhang et al. 2019, Algorithm 1. Deviations: the start is projected onto the ball.

    Args:
        model: images to logits (N, classes); unchanged afterwards.
        images: (N, C, H, W), floating point in [0, 1].
        labels: (N,), int64; not looked at.
        eps: radius of the L-infinity ball, in units of the images, >= 0.
        step_size: length of a step in every pixel, in units of the images, >= 0.
        steps: gradient steps, >= 1.
        generator: source of the starts, on any device; None takes the global one.

    Returns:
        Adversarial images of the same shape, in [0, 1], at most eps from the images in every pixel.

    Raises:
        ValueError: if an input is malformed or the model's logits or gradients are not finite.
    """
    check_distance("eps", eps)
    check_distance("step_size", step_size)
    check_at_least("steps", steps, 1)
    lowest, highest = (images - eps).clamp(0, 1), (images + eps).clamp(0, 1)
    with torch.no_grad():
        clean = model(images)
    start = beside(images, START, generator).clamp(lowest, highest)
    return ascend(
        lambda adversarial: kl_divergence(clean, model(adversarial)).sum(),
        start, lowest, highest, step_size=step_size, steps=steps,
    )  # fmt: skip
