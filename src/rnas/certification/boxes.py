"""Intervals: a centre and a radius for each value.

A radius is kept for itself, not as the difference of two ends: boxes far smaller than the precision of the values have
bounds as well, and a radius of 0 is 0 in every layer.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from rnas.certification.tape import Node, Part
from rnas.errors import ModelError

__all__ = ["Interval", "Rule", "Values", "box", "listed", "no_rule"]


class Interval(NamedTuple):
    """All values from centre - radius to centre + radius, both of one shape; the radius is >= 0."""

    centre: Tensor
    radius: Tensor

    @property
    def low(self) -> Tensor:
        return self.centre - self.radius

    @property
    def high(self) -> Tensor:
        return self.centre + self.radius

    @classmethod
    def between(cls, low: Tensor, high: Tensor) -> Interval:
        """From the lower to the upper end."""
        return cls((low + high) / 2, (high - low) / 2)


#: The intervals of parts of a tape, and what finds those of a node's results by them.
Values = Callable[[Part], Interval]
Rule = Callable[[Node, Values], list[Interval]]


def box(images: Tensor, eps: float | Tensor) -> Interval:
    """All images in [0, 1] within eps of these, in the maximum norm.

    The centre is rounded first, and the radius reaches both ends from there, however small eps is.

    Args:
        images: shape (N, C, H, W), in [0, 1].
        eps: one radius, or one an image, shape (N,); >= 0.
    """
    radius = torch.as_tensor(eps, dtype=images.dtype, device=images.device).view(-1, *[1] * (images.dim() - 1))
    fall, rise = images.minimum(radius).relu(), (1 - images).minimum(radius).relu()
    centre = images + (rise - fall) / 2
    moved = centre - images
    return Interval(centre, torch.maximum(fall + moved, rise - moved))


def no_rule(node: Node, what: str = "") -> ModelError:
    """The error that names an operation."""
    return ModelError(f"cannot bound the model: there is no rule for the operation {node.name!r}{what}")


def listed(results: Any) -> list[Tensor]:
    """What an operation gives, one tensor or several."""
    return [results] if isinstance(results, Tensor) else list(results)
