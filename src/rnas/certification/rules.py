"""What each operation does to intervals: a centre and a radius for each value.

A radius is kept for itself, not as the difference of two ends: boxes far smaller than the precision of the values have
bounds as well, and a radius of 0 is 0 in every layer.

References:
    Gowal et al. 2018, "On the Effectiveness of Interval Bound Propagation" (https://arxiv.org/abs/1810.12715), Section
    3: a linear layer takes two products, of the centre with the weights and of the radius with their absolute values;
    a monotone function is applied to both ends.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from rnas.certification.tape import Node, Part, leaves_of, mapped
from rnas.errors import ModelError

__all__ = [
    "AFFINE",
    "BATCH_NORMS",
    "CONVOLUTIONS",
    "PRODUCTS",
    "RULES",
    "Interval",
    "interval_of",
    "is_affine",
    "scale_and_shift",
    "takes_the_batch",
]


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


Values = Callable[[Part], Interval]
Rule = Callable[[Node, Values], list[Interval]]

#: Sums and selections with factors >= 0: what they do to centres they do to radii.
SAME_FOR_BOTH = """
    view _unsafe_view transpose t permute clone slice select split split_with_sizes unbind cat stack unsqueeze squeeze
    expand repeat flip roll pixel_shuffle pixel_unshuffle channel_shuffle mean sum avg_pool2d _adaptive_avg_pool2d
    reflection_pad2d replication_pad2d upsample_nearest2d upsample_bilinear2d im2col index_select
"""
#: Functions that never fall where an argument rises.
MONOTONE = """
    sigmoid tanh exp hardsigmoid maximum minimum amax amin adaptive_max_pool2d
"""
#: Functions that fall to one least value, at this argument, and rise from there.
VALLEYS = {"silu": -1.278464543, "gelu": -0.751791525, "hardswish": -1.5}


def interval_of(node: Node, values: Values) -> list[Interval]:
    """The intervals of a node's result, of which a pooling's indices have none.

    Raises:
        ModelError: if the operation has no rule; it is named.
    """
    if node.name not in RULES:
        raise _no_rule(node)
    found = RULES[node.name](node, values)
    before, after = values(node.inputs[0]).centre.dtype, found[0].centre.dtype
    if before != after:
        # No rule tells how far values move where they are rounded.
        raise _no_rule(node, f" from {before} to {after}")
    return found


def is_affine(node: Node) -> bool:
    """Whether a node is a matrix times what depends on the images, plus a constant."""
    if node.name in PRODUCTS:
        return len(node.inputs) == 1
    return node.name in AFFINE


def _no_rule(node: Node, what: str = "") -> ModelError:
    return ModelError(f"cannot bound the model: there is no rule for the operation {node.name!r}{what}")


def _both(node: Node, values: Values) -> list[Interval]:
    """The same operation on centres and on radii; of constants among its arguments the radius is 0."""
    centres = node.apply(lambda part: values(part).centre)
    without = node
    if any(isinstance(leaf, Tensor) and leaf.is_floating_point() for leaf in leaves_of(node.arguments)):
        zeros = mapped(lambda leaf: torch.zeros_like(leaf) if isinstance(leaf, Tensor) else leaf, node.arguments)
        without = replace(node, arguments=zeros)
    radii = without.apply(lambda part: values(part).radius)
    return [Interval(*pair) for pair in zip(_listed(centres), _listed(radii), strict=True)]


def _listed(results: Any) -> list[Tensor]:
    return [results] if isinstance(results, Tensor) else list(results)


def _padded(node: Node, values: Values) -> list[Interval]:
    """Whatever is padded with, its radius is 0."""
    inside, sides = values(node.arguments[0]), node.arguments[1]
    return [Interval(node.apply(lambda part: values(part).centre), F.pad(inside.radius, sides))]


def _sum(node: Node, values: Values) -> list[Interval]:
    """Of two terms, one of which may be a constant, or their difference: radii add."""
    centre = node.apply(lambda part: values(part).centre)
    factors = (1.0, abs(float(node.options.get("alpha", 1))))
    if node.name == "rsub":
        factors = (factors[1], 1.0)
    terms = [
        values(leaf).radius if factor == 1 else factor * values(leaf).radius
        for leaf, factor in zip(node.arguments, factors, strict=False)
        if isinstance(leaf, Part)
    ]
    radius = terms[0] + terms[1] if len(terms) == 2 else terms[0].expand(centre.shape)
    return [Interval(centre, radius)]


def _product(node: Node, values: Values) -> list[Interval]:
    """Of two factors, of any kind of product: |a b - a' b'| <= |a'| r_b + r_a |b'| + r_a r_b around the centres."""
    centre = node.apply(lambda part: values(part).centre)

    def product(first: Any, second: Any) -> Tensor:
        return node.call(first, second, *node.arguments[2:], **node.options)

    first, second = node.arguments[:2]
    if isinstance(first, Part) and isinstance(second, Part):
        a, b = values(first), values(second)
        radius = product(a.centre.abs() + a.radius, b.radius) + product(a.radius, b.centre.abs())
    elif isinstance(first, Part):
        radius = product(values(first).radius, abs(second))
    else:
        radius = product(abs(first), values(second).radius)
    return [Interval(centre, radius)]


def _quotient(node: Node, values: Values) -> list[Interval]:
    above, below = node.arguments
    if isinstance(below, Part) or node.options:
        raise _no_rule(node, " by what depends on the images")
    inside = values(above)
    return [Interval(inside.centre / below, inside.radius / abs(below))]


def _negative(node: Node, values: Values) -> list[Interval]:
    inside = values(node.arguments[0])
    return [Interval(-inside.centre, inside.radius)]


def _matrix_product_and_bias(node: Node, values: Values) -> list[Interval]:
    bias, first, second = node.arguments
    if node.options or isinstance(bias, Part) or len(node.inputs) != 1:
        raise _no_rule(node, " of more than one tensor that depends on the images")
    product = Node(node.index, "mm", torch.ops.aten.mm.default, (first, second), {}, node.shapes)
    (inside,) = _product(product, values)
    return [Interval(inside.centre + bias, inside.radius)]


def _convolution(node: Node, values: Values) -> list[Interval]:
    images, weight, _, *rest = node.arguments
    if isinstance(weight, Part) or not isinstance(images, Part):
        raise _no_rule(node, " with weights that depend on the images")
    centre = node.apply(lambda part: values(part).centre)
    return [Interval(centre, node.call(values(images).radius, weight.abs(), None, *rest))]


def _relu(node: Node, values: Values) -> list[Interval]:
    """relu((c + r) / 2) is the new centre and radius of a unit that may be on or off; max and min choose it there."""
    centre, radius = values(node.arguments[0])
    half = torch.lerp(centre, radius, 0.5).relu()
    return [Interval(torch.maximum(centre, half), torch.minimum(radius, half))]


def _monotone(node: Node, values: Values) -> list[Interval]:
    low = node.apply(lambda part: values(part).low)
    high = node.apply(lambda part: values(part).high)
    return [Interval.between(_listed(low)[0], _listed(high)[0])]


def _with_slopes(node: Node, values: Values) -> list[Interval]:
    """Monotone where its settings are >= 0: they are slopes, or factors of them."""
    if any(number < 0 for number in (*node.arguments[1:], *node.options.values())):
        raise _no_rule(node, " with a negative slope")
    return _monotone(node, values)


def _valley(node: Node, values: Values) -> list[Interval]:
    inside, least = values(node.arguments[0]), VALLEYS[node.name]
    if node.options.get("approximate", "none") != "none":
        raise _no_rule(node, f" as approximated by {node.options['approximate']}")

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


def _batch_norm(node: Node, values: Values) -> list[Interval]:
    if len(node.inputs) != 1:
        raise _no_rule(node, " with scales that depend on the images")
    scale, shift = scale_and_shift(node)
    inside = values(node.arguments[0])
    sides = (1, -1, *[1] * (inside.centre.dim() - 2))
    return [Interval(inside.centre * scale.view(sides) + shift.view(sides), inside.radius * scale.abs().view(sides))]


def scale_and_shift(node: Node) -> tuple[Tensor, Tensor]:
    """What a batch norm multiplies each channel by and then adds, each of shape (C,).

    Raises:
        ModelError: if it takes the statistics of the batch.
    """
    _, weight, bias, mean, variance, *_, eps = node.arguments
    if takes_the_batch(node):
        raise ModelError(
            "cannot bound the model: a batch norm takes the statistics of the batch: expected evaluation mode and "
            "running statistics"
        )
    scale = (variance + eps).rsqrt()
    scale = scale if weight is None else scale * weight
    shift = -mean * scale if bias is None else bias - mean * scale
    return scale, shift


def takes_the_batch(node: Node) -> bool:
    """Whether a batch norm takes the statistics of the batch."""
    _, _, _, mean, variance, *rest = node.arguments
    return (len(rest) == 3 and bool(rest[0])) or mean is None or variance is None


PRODUCTS = frozenset({"mul", "mm", "bmm"})
BATCH_NORMS = frozenset({"native_batch_norm", "cudnn_batch_norm", "_native_batch_norm_legit_no_training"})
#: The second as programs of TorchScript write it.
CONVOLUTIONS = frozenset({"convolution", "_convolution"})
AFFINE = frozenset(
    {
        *SAME_FOR_BOTH.split(),
        *BATCH_NORMS,
        *CONVOLUTIONS,
        "constant_pad_nd",
        "add",
        "sub",
        "rsub",
        "neg",
        "div",
        "addmm",
    }
)

RULES: dict[str, Rule] = {
    **dict.fromkeys(SAME_FOR_BOTH.split(), _both),
    **dict.fromkeys(PRODUCTS, _product),
    **dict.fromkeys(BATCH_NORMS, _batch_norm),
    **dict.fromkeys(("add", "sub", "rsub"), _sum),
    "constant_pad_nd": _padded,
    "neg": _negative,
    "div": _quotient,
    "addmm": _matrix_product_and_bias,
    **dict.fromkeys(CONVOLUTIONS, _convolution),
    **dict.fromkeys(MONOTONE.split(), _monotone),
    **dict.fromkeys(VALLEYS, _valley),
    "relu": _relu,
    **dict.fromkeys(("leaky_relu", "elu", "softplus"), _with_slopes),
    "abs": _absolute,
    "max_pool2d_with_indices": _max_pool,
}
