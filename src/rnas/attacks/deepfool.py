"""DeepFool: step after step to the nearest boundary of the classifier as it looks from here, if it were linear.

Moosavi-Dezfooli, Fawzi and Frossard, "DeepFool: a simple and accurate method to fool deep neural networks", CVPR 2016,
Algorithm 2. While the class is that of x, with f the logits and y the class,

    w_k = grad f_k(x_i) - grad f_y(x_i),   l = argmin over k != y of |f_k(x_i) - f_y(x_i)| / |w_k|_2
    x_{i+1} = x_i + (1 + overshoot) * |f_l(x_i) - f_y(x_i)| / |w_l|_2^2 * w_l

On a linear classifier one step ends beyond the nearest boundary, at margin / norm times 1 + overshoot.
"""

from __future__ import annotations

import torch
from torch import Tensor

from rnas.attacks.guards import Model, check_at_least, check_finite, guarded, image_gradient

__all__ = ["deepfool"]


@guarded
def deepfool(
    model: Model,
    images: Tensor,
    labels: Tensor,
    *,
    steps: int = 50,
    overshoot: float = 0.02,
    classes: int = 10,
) -> Tensor:
    """Attack by the shortest steps across linearised boundaries; there is no bound on the distance.

    Source: Moosavi-Dezfooli et al. 2016, Algorithm 2 for the L2 norm. Deviations: as in the authors' code each
    step overshoots, where the paper lets the sum of all do it at the end, and only the classes that are likeliest at x
    are aimed at. Iterates stay in [0, 1], which the paper does not ask for: they are clipped, and pixels at 0 or 1 from
    where w_k leads outwards have no part in it, or the steps of clipped images would never end beyond the boundary. The
    1e-4 that the code adds to each step is left out.

    Args:
        model: images to logits (N, classes); unchanged afterwards.
        images: (N, C, H, W), floating point in [0, 1].
        labels: (N,), int64.
        steps: most steps for an image, >= 1.
        overshoot: part of a step by which it goes beyond the boundary, >= 0.
        classes: how many of the likeliest classes are looked at, the label among them, >= 2; all where there are fewer.

    Returns:
        For each image the first iterate that has another class; the image itself where no step led to one, and where it
        was misclassified from the start. Same shape, in [0, 1].

    Raises:
        ValueError: if an input is malformed or the model's logits or gradients are not finite.
    """
    check_at_least("steps", steps, 1)
    check_at_least("overshoot", overshoot, 0)
    check_at_least("classes", classes, 2)
    with torch.no_grad():
        logits = model(images)
    likeliest = logits.topk(min(classes, logits.shape[1]), dim=1).indices
    left = torch.arange(len(labels), device=labels.device)
    result, current = images.clone(), images.clone()
    for step in range(steps + 1):
        if not len(left):
            break
        shown = current[left].requires_grad_()
        logits = model(shown)
        broken = logits.detach().argmax(dim=1) != labels[left]
        result[left[broken]] = current[left[broken]]
        if step < steps:
            # Those that are broken now are in the pass, so they take the step as well; nobody looks at it.
            steepest = _to_the_nearest(logits, shown, labels[left], likeliest[left])
            current[left] = (current[left] + (1 + overshoot) * steepest).clamp(0, 1)
        left = left[~broken]
    check_finite(current)
    return result


def _to_the_nearest(logits: Tensor, images: Tensor, labels: Tensor, aims: Tensor) -> Tensor:
    """The step to the nearest linearised boundary of the label's class with one of some classes.

    Args:
        logits: (N, classes), with a graph to the images.
        images: (N, C, H, W).
        labels: (N,).
        aims: (N, K), classes; the label, where it is among them, is no aim.

    Returns:
        Of the images' shape.
    """
    gaps = logits.gather(1, aims) - logits.gather(1, labels.unsqueeze(1))  # f_k - f_y
    columns = range(aims.shape[1])
    slopes = torch.stack([image_gradient(gaps[:, k].sum(), images, retain_graph=True) for k in columns])
    outwards = ((images <= 0) & (slopes < 0)) | ((images >= 1) & (slopes > 0))
    slopes = slopes.masked_fill(outwards, 0)
    norms = slopes.flatten(2).norm(dim=2).T.clamp_min(1e-12)  # (N, K); a flat logit is reached by no step
    gaps = gaps.detach().abs()
    distances = (gaps / norms).masked_fill(aims == labels.unsqueeze(1), torch.inf)
    distance, nearest = distances.min(dim=1)
    rows = torch.arange(len(images), device=images.device)
    directions = slopes[nearest, rows] / norms[rows, nearest].view(-1, 1, 1, 1)
    return distance.view(-1, 1, 1, 1) * directions
