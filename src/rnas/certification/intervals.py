"""Interval bound propagation: the values of every layer on a box of images, one layer after the other.

References:
    Gowal et al. 2018, "On the Effectiveness of Interval Bound Propagation" (https://arxiv.org/abs/1810.12715).
"""

from __future__ import annotations

from collections.abc import Callable, Collection

import torch
from torch import Tensor

from rnas.certification.rules import Interval, interval_of
from rnas.certification.tape import Node, Part, Tape
from rnas.errors import ModelError

__all__ = ["box", "propagate"]

#: Of a node and the interval of its result, the interval to go on with.
Refinement = Callable[[Node, dict[Part, Interval]], None]


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


def propagate(
    tape: Tape, images: Interval, kept: Collection[Part] = (), refine: Refinement | None = None
) -> dict[Part, Interval]:
    """The intervals of some parts of a tape; others are forgotten once no node needs them any more.

    Args:
        tape: the network.
        images: the box that they are in.
        kept: the parts whose intervals are wanted.
        refine: called with each node before its interval is computed, and the intervals so far, which it may replace.
    """
    last = {part: node.index for node in tape.nodes for part in node.inputs}
    found = {Part(0): images}

    def known(part: Part) -> Interval:
        if part not in found:
            source = tape.nodes[part.node].name
            raise ModelError(f"cannot bound the model: it computes with the indices that {source!r} gives")
        return found[part]

    for node in tape.nodes[1:]:
        if refine is not None:
            refine(node, found)
        for place, interval in enumerate(interval_of(node, known)):
            found[Part(node.index, place)] = interval
        for part in node.inputs:
            if last[part] == node.index and part not in kept:
                found.pop(part, None)
    return found
