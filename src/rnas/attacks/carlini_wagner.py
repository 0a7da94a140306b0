"""C&W, the attack of Carlini and Wagner, for the L2 distance.

Carlini and Wagner, "Towards Evaluating the Robustness of Neural Networks", IEEE S&P 2017, section VI-A. With
x'(w) = (tanh(w) + 1) / 2, which is a valid image for any w, Adam minimises over w, for every image on its own,

    |x'(w) - x|_2^2 + c * f(x'(w)),    f(x') = max(z_y(x') - max_{k != y} z_k(x'), -confidence)

The larger c, the more images are broken, and the further away; a binary search finds for every image the c at which it
is just broken.
"""

from __future__ import annotations

import torch
from torch import Tensor

from rnas.attacks.guards import Model, check_at_least, check_finite, guarded, image_gradient
from rnas.attacks.margins import logit_margin

__all__ = ["carlini_wagner_l2"]


@guarded
def carlini_wagner_l2(
    model: Model,
    images: Tensor,
    labels: Tensor,
    *,
    c: float = 0.5,
    steps: int = 100,
    learning_rate: float = 0.01,
    confidence: float = 0.0,
    binary_search_steps: int = 1,
) -> Tensor:
    """Attack by trading the squared L2 distance for the logit margin; there is no bound on the distance.

    Source: Carlini and Wagner 2017, section VI-A, with f_6 of section V-A in its untargeted form. Deviations: by
    default c is fixed, as in the evaluation of the RNAS paper. As in the authors' code, a searched c grows tenfold, to
    1e10 at most, until it breaks the image, and from then on lies midway between the largest that failed and the
    smallest that succeeded; and pixels are drawn towards grey by 1e-6 before the inverse tanh, infinite at 0 and 1;
    pixels of those values hardly move.

    Args:
        model: images to logits (N, classes); unchanged afterwards.
        images: (N, C, H, W), floating point in [0, 1].
        labels: (N,), int64.
        c: weight of the margin against the squared distance, >= 0; with a binary search the first one tried, > 0.
        steps: steps of Adam for each c, >= 1.
        learning_rate: of Adam, in units of w, >= 0.
        confidence: margin, in units of logits, by which another class must win, >= 0.
        binary_search_steps: values of c tried, >= 1; with one, c is fixed.

    Returns:
        For each image the nearest iterate, over all values of c, that another class wins by `confidence`; the image
        itself where there was none or where it was misclassified from the start. Same shape, in [0, 1].

    Raises:
        ValueError: if an input is malformed or the model's logits or gradients are not finite.
    """
    check_at_least("c", c, 0)
    check_at_least("steps", steps, 1)
    check_at_least("learning_rate", learning_rate, 0)
    check_at_least("confidence", confidence, 0)
    check_at_least("binary_search_steps", binary_search_steps, 1)
    if binary_search_steps > 1 and c == 0:
        raise ValueError("c: expected a number > 0 to begin a binary search with, got 0")
    with torch.no_grad():
        correct = model(images).argmax(dim=1) == labels
    weight = torch.full(labels.shape, float(c), dtype=images.dtype, device=images.device)
    best, best_distance = images, torch.full_like(weight, torch.inf)
    failed, succeeded = torch.zeros_like(weight), torch.full_like(weight, torch.inf)
    for _ in range(binary_search_steps):
        adversarial, distance = _nearest(model, images, labels, correct, weight, steps, learning_rate, confidence)
        nearer = distance < best_distance
        best = torch.where(nearer.view(-1, 1, 1, 1), adversarial, best)
        best_distance = torch.where(nearer, distance, best_distance)
        fooled = distance.isfinite()
        succeeded, failed = torch.where(fooled, weight, succeeded), torch.where(fooled, failed, weight)
        weight = torch.where(succeeded.isinf(), (10 * weight).clamp(max=1e10), (failed + succeeded) / 2)
    return best


def _nearest(
    model: Model,
    images: Tensor,
    labels: Tensor,
    correct: Tensor,
    c: Tensor,
    steps: int,
    learning_rate: float,
    confidence: float,
) -> tuple[Tensor, Tensor]:
    """The nearest adversarial iterate for each image's own c, (N,), and its squared distance, infinite if none."""
    w = ((2 * images - 1).clamp(-1, 1) * (1 - 1e-6)).atanh()
    adam = torch.optim.Adam([w], lr=learning_rate)
    best, best_distance = images, torch.full_like(c, torch.inf)
    # One evaluation more than steps, so that the last step's result is looked at as well.
    for step in range(steps + 1):
        adversarial = ((w.tanh() + 1) / 2).requires_grad_()
        logits = model(adversarial)
        margin = logit_margin(logits, labels)
        change = adversarial.detach() - images
        distance = change.square().flatten(1).sum(dim=1)
        fooled = correct & (logits.argmax(dim=1) != labels) & (margin <= -confidence)
        nearer = fooled & (distance < best_distance)
        best = torch.where(nearer.view(-1, 1, 1, 1), adversarial.detach(), best)
        best_distance = torch.where(nearer, distance, best_distance)
        if step < steps:
            f = margin.clamp(min=-confidence)
            # Gradient of |x' - x|^2 + c f(x') in x', times dx'/dw = (1 - tanh(w)^2) / 2.
            in_image = 2 * change + c.view(-1, 1, 1, 1) * image_gradient(f.sum(), adversarial)
            w.grad = in_image * (1 - w.tanh().square()) / 2
            adam.step()
    check_finite(w)
    return best, best_distance
