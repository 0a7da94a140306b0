"""PGD, projected gradient descent on the negative loss, in the L-infinity ball or in that of L2.

Madry, Makelov, Schmidt, Tsipras and Vladu, "Towards Deep Learning Models Resistant to Adversarial Attacks", ICLR 2018,
section 2.1. From a random point of the ball B = {x' : |x' - x|_inf <= eps, 0 <= x' <= 1}:

    x_{t+1} = P_B(x_t + step_size * sign(grad_x L(x_t, y)))

In L2 the step has the direction of the gradient itself.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from rnas.attacks.guards import Model, check_at_least, check_distance, guarded, image_gradient, signs
from rnas.attacks.margins import logit_margin
from rnas.attacks.noise import draw

__all__ = ["LOSSES", "START", "ascend", "beside", "pgd_l2", "pgd_linf"]

LOSSES = {
    "cross_entropy": lambda logits, labels: F.cross_entropy(logits, labels, reduction="sum"),
    "margin": lambda logits, labels: -logit_margin(logits, labels).sum(),
}
"""What an attack can climb. The margin's gradient does not vanish where the model is very sure of itself."""

#: Deviation of the start of TRADES and MART from the image, in units of the images.
START = 0.001


@guarded
def pgd_linf(
    model: Model,
    images: Tensor,
    labels: Tensor,
    *,
    eps: float,
    step_size: float,
    steps: int,
    random_start: bool | float = True,
    restarts: int = 1,
    loss: str = "cross_entropy",
    generator: torch.Generator | None = None,
) -> Tensor:
    """Attack by projected signed gradient steps; the result is the last iterate, as in the paper.

    Source: Madry et al. 2018, section 2.1. Deviations: a normal start, `restarts` and the margin loss are additions,
    off by default.

    Args:
        model: images to logits (N, classes); unchanged afterwards.
        images: (N, C, H, W), floating point in [0, 1].
        labels: (N,), int64.
        eps: radius of the L-infinity ball, in units of the images, >= 0.
        step_size: length of a step in every pixel, in units of the images, >= 0.
        steps: gradient steps, >= 1.
        random_start: start from a uniformly random point of the ball instead of its centre; or the deviation, >= 0, of
            a random start that is normal about the image.
        restarts: runs, >= 1; of several, each image keeps the one that ends with its smallest logit margin.
        loss: "cross_entropy", or "margin" for the largest other logit minus the label's.
        generator: source of the random starts, on any device; None takes the global one.

    Returns:
        Adversarial images of the same shape, in [0, 1], at most eps from the images in every pixel.

    Raises:
        ValueError: if an input is malformed or the model's logits or gradients are not finite.
    """
    check_distance("eps", eps)
    check_distance("step_size", step_size)
    check_at_least("steps", steps, 1)
    check_at_least("restarts", restarts, 1)
    if not isinstance(random_start, bool):
        check_distance("random_start", random_start)
    if loss not in LOSSES:
        raise ValueError(f"loss: expected one of {', '.join(LOSSES)}, got {loss!r}")
    lowest, highest = (images - eps).clamp(0, 1), (images + eps).clamp(0, 1)
    best, best_margin = images, torch.full(labels.shape, torch.inf, device=images.device)
    for _ in range(restarts):
        adversarial = images
        if not isinstance(random_start, bool):
            adversarial = beside(images, random_start, generator).clamp(lowest, highest)
        elif random_start:
            uniform = draw(torch.rand, images.shape, generator, device=images.device, dtype=images.dtype)
            adversarial = (images + eps * (2 * uniform - 1)).clamp(lowest, highest)
        adversarial = ascend(
            lambda candidate: LOSSES[loss](model(candidate), labels),
            adversarial, lowest, highest, step_size=step_size, steps=steps,
        )  # fmt: skip
        if restarts == 1:
            return adversarial
        with torch.no_grad():
            margin = logit_margin(model(adversarial), labels)
        best = torch.where((margin < best_margin).view(-1, 1, 1, 1), adversarial, best)
        best_margin = margin.minimum(best_margin)
    return best


@guarded
def pgd_l2(model: Model, images: Tensor, labels: Tensor, *, eps: float, step_size: float, steps: int) -> Tensor:
    """Attack by projected steps along the gradient of the cross-entropy, from the image itself; the last iterate.

    Source: Madry et al. 2018, section 2.1, with the L2 ball. Deviations: an iterate is clipped to [0, 1] before it is
    drawn back into the ball, which keeps both.

    Args:
        model: images to logits (N, classes); unchanged afterwards.
        images: (N, C, H, W), floating point in [0, 1].
        labels: (N,), int64.
        eps: radius of the L2 ball, in units of the images, >= 0.
        step_size: Euclidean length of a step, in the same units, >= 0.
        steps: gradient steps, >= 1.

    Returns:
        Adversarial images of the same shape, in [0, 1], at most eps from the images.

    Raises:
        ValueError: if an input is malformed or the model's logits or gradients are not finite.
    """
    check_distance("eps", eps)
    check_distance("step_size", step_size)
    check_at_least("steps", steps, 1)
    adversarial = images
    for _ in range(steps):
        shown = adversarial.detach().requires_grad_()
        gradient = image_gradient(LOSSES["cross_entropy"](model(shown), labels), shown)
        change = (shown.detach() + step_size * gradient / _norms(gradient)).clamp(0, 1) - images
        adversarial = images + change * (eps / _norms(change)).clamp(max=1)
    return adversarial


def _norms(changes: Tensor) -> Tensor:
    """Euclidean norms of changes (N, C, H, W), shape (N, 1, 1, 1), at least 1e-12: no gradient makes no step."""
    return changes.flatten(1).norm(dim=1).clamp_min(1e-12).view(-1, 1, 1, 1)


def beside(images: Tensor, deviation: float, generator: torch.Generator | None) -> Tensor:
    """Images (N, C, H, W) with normal noise of this deviation in every pixel, which may leave [0, 1]."""
    noise = draw(torch.randn, images.shape, generator, device=images.device, dtype=images.dtype)
    return images + deviation * noise


def ascend(
    value: Callable[[Tensor], Tensor], start: Tensor, lowest: Tensor, highest: Tensor, *, step_size: float, steps: int
) -> Tensor:
    """Climb by signed gradient steps in a box.

    Args:
        value: images (N, C, H, W) to what is climbed, a scalar, each image's part of which depends on it alone.
        start: where to begin, of the images' shape.
        lowest: the box's lower corner, of the same shape.
        highest: its upper corner.
        step_size: length of a step in every pixel, in units of the images.
        steps: how many.

    Returns:
        The last iterate.
    """
    images = start
    for _ in range(steps):
        images = images.detach().requires_grad_()
        gradient = image_gradient(value(images), images)
        images = (images.detach() + step_size * signs(gradient)).clamp(lowest, highest)
    return images
