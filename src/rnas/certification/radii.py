"""The largest ball in which an image's margins are proved, by halving: bounds get weaker as the ball grows."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

__all__ = ["certified_radii"]

Margins = Callable[[Tensor, Tensor, Tensor], Tensor]


def certified_radii(
    model: nn.Module,
    margins: Margins,
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
        margins: (images, labels, a radius for each image) to lower bounds (N, classes) of the label's logit minus each
            other one, 0 for the label itself.
        images: shape (N, C, H, W), in [0, 1].
        labels: shape (N,).
        generator: of no use here; methods that draw noise need one.
        eps: the radius that matters most, > 0.
        halvings: at least 0.

    Returns:
        The model's classes, and radii in float64; both of shape (N,). A radius is 0 where no ball was proved.
    """
    others = torch.ones(len(labels), dtype=torch.bool, device=labels.device)

    def proved(radii: Tensor) -> Tensor:
        # In the images' precision a radius may be rounded down, and a smaller ball would be proved.
        rounded = torch.nextafter(radii.to(images.dtype), torch.tensor(math.inf, dtype=images.dtype))
        bounds = margins(images, labels, rounded).scatter(1, labels[:, None], math.inf)
        return bounds.amin(dim=1) > 0

    with torch.no_grad():
        classes = model(images).argmax(dim=1)
        whole = proved(torch.full_like(others, eps, dtype=torch.float64)) & (classes == labels)
        low = torch.where(whole, eps, torch.zeros_like(whole, dtype=torch.float64))
        high = low + torch.where(classes == labels, eps, 0.0)
        for _ in range(halvings):
            middle = (low + high) / 2
            found = proved(middle) & (classes == labels)
            low, high = torch.where(found, middle, low), torch.where(found, high, middle)
    return classes, low
