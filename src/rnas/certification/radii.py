"""The largest ball in which an image's margins are proved, by halving: bounds get weaker as the ball grows."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

__all__ = ["certified_radii"]

#: Margins below this part of the largest logit, and of 1, may be nothing but rounding in float32.
ROUNDING = 1e-5

#: (images, labels) -> (a radius for each image) -> bounds of margins: what depends on the images is prepared once.
Bound = Callable[[Tensor, Tensor], Callable[[Tensor], Tensor]]


def certified_radii(
    model: nn.Module,
    bound: Bound,
    images: Tensor,
    labels: Tensor,
    generator: torch.Generator,  # noqa: ARG001
    *,
    eps: float,
    halvings: int,
) -> tuple[Tensor, Tensor]:
    """Prove a ball around each image in which its class does not change.

    eps itself is asked first, so that a radius is at least eps exactly where eps is proved. What is left, (0, eps) or
    (eps, 2 eps), is halved, for all images at once.

    Args:
        model: images to logits (N, classes), in evaluation mode.
        bound: (images, labels) to a function from a radius for each image to lower bounds (N, classes) of the label's
            logit minus each other one, 0 for the label itself.
        images: shape (N, C, H, W), in [0, 1].
        labels: shape (N,).
        generator: of no use here; methods that draw noise need one.
        eps: the radius that matters most, > 0.
        halvings: at least 0.

    Returns:
        The model's classes, and radii in float64; both of shape (N,). A radius is 0 where no ball was proved.
    """

    def proved(asked: Tensor) -> Tensor:
        # In the images' precision a radius may be rounded down, and a smaller ball would be proved.
        rounded = torch.nextafter(asked.to(taken.dtype), torch.tensor(math.inf, dtype=taken.dtype))
        bounds = margins(rounded).scatter(1, truth[:, None], math.inf)
        return bounds.amin(dim=1) > slack

    with torch.no_grad():
        logits = model(images)
        classes = logits.argmax(dim=1)
        radii = torch.zeros(len(images), dtype=torch.float64, device=images.device)
        right = classes == labels
        if right.any():
            taken, truth = images[right], labels[right]  # of the others nothing can be proved
            margins = bound(taken, truth)
            slack = ROUNDING * (1 + logits[right].abs().amax(dim=1))
            low = torch.zeros_like(radii[right])
            low[proved(low + eps)] = eps
            high = low + eps
            for _ in range(halvings):
                middle = (low + high) / 2
                found = proved(middle)
                low, high = torch.where(found, middle, low), torch.where(found, high, middle)
            radii[right] = low
    return classes, radii
