"""What activations and poolings do to intervals.

References:
    Gowal et al. 2018, "On the Effectiveness of Interval Bound Propagation" (https://arxiv.org/abs/1810.12715), Section
    3: a monotone function is applied to both ends.
"""

from __future__ import annotations

import torch
from torch import Tensor

from rnas.certification.boxes import Interval, Rule, Values, listed, no_rule
from rnas.certification.tape import Node

__all__ = ["CURVED_RULES"]

#: Functions that never fall where an argument rises.
MONOTONE = """
    sigmoid tanh exp hardsigmoid maximum minimum amax amin adaptive_max_pool2d
"""
#: Functions that fall to one least value, at this argument, and rise from there.
VALLEYS = {"silu": -1.278464543, "gelu": -0.751791525, "hardswish": -1.5}


def _relu(node: Node, values: Values) -> list[Interval]:
    """relu((c + r) / 2) is the new centre and radius of a unit that may be on or off; max and min choose it there."""
    centre, radius = values(node.arguments[0])
    half = torch.lerp(centre, radius, 0.5).relu()
    return [Interval(torch.maximum(centre, half), torch.minimum(radius, half))]


def _monotone(node: Node, values: Values) -> list[Interval]:
    low = node.apply(lambda part: values(part).low)
    high = node.apply(lambda part: values(part).high)
    return [Interval.between(listed(low)[0], listed(high)[0])]


def _with_slopes(node: Node, values: Values) -> list[Interval]:
    """Monotone where its settings are >= 0: they are slopes, or factors of them."""
    if any(number < 0 for number in (*node.arguments[1:], *node.options.values())):
        raise no_rule(node, " with a negative slope")
    return _monotone(node, values)


def _valley(node: Node, values: Values) -> list[Interval]:
    inside, least = values(node.arguments[0]), VALLEYS[node.name]
    if node.options.get("approximate", "none") != "none":
        raise no_rule(node, f" as approximated by {node.options['approximate']}")

    def at(points: Tensor) -> Tensor:
        return node.apply(lambda _: points)

    low, high = inside.low, inside.high
    # The nearest point of the interval to where the least value is.
    lowest = at(torch.minimum(torch.maximum(low, torch.full_like(low, least)), high))
    return [Interval.between(lowest, torch.maximum(at(low), at(high)))]


def _absolute(node: Node, values: Values) -> list[Interval]:
    centre, radius = values(node.arguments[0])
    return [Interval.between((centre.abs() - radius).relu(), centre.abs() + radius)]


def _max_pool(node: Node, values: Values) -> list[Interval]:
    """The ends at the pixels with the greatest lower and the greatest upper end, without the loss of small radii."""
    inside = values(node.arguments[0])

    def chosen(end: Tensor) -> list[Tensor]:
        """Centres and radii of the pixels where an end is greatest."""
        _, places = node.apply(lambda _: end)
        return [tensor.flatten(2).gather(2, places.flatten(2)).view(places.shape) for tensor in inside]

    (below, fall), (above, rise) = chosen(inside.low), chosen(inside.high)
    apart = above - below
    return [Interval(below + (apart + rise - fall) / 2, (apart + rise + fall) / 2)]


#: By the operation's name.
CURVED_RULES: dict[str, Rule] = {
    **dict.fromkeys(MONOTONE.split(), _monotone),
    **dict.fromkeys(("leaky_relu", "elu", "softplus"), _with_slopes),
    **dict.fromkeys(VALLEYS, _valley),
    "relu": _relu,
    "abs": _absolute,
    "max_pool2d_with_indices": _max_pool,
}
