"""What matrices, sums and selections do to intervals, and which operations are such.

References:
    Gowal et al. 2018, "On the Effectiveness of Interval Bound Propagation" (https://arxiv.org/abs/1810.12715), Section
    3: a linear layer takes two products, of the centre with the weights and of the radius with their absolute values.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from rnas.certification.boxes import Interval, Rule, Values, listed, no_rule
from rnas.certification.tape import Node, Part, leaves_of, mapped
from rnas.errors import ModelError

__all__ = ["AFFINE_RULES", "BATCH_NORMS", "CONVOLUTIONS", "is_affine", "scale_and_shift", "takes_the_batch"]

#: Sums and selections with factors >= 0: what they do to centres they do to radii.
SAME_FOR_BOTH = """
    view _unsafe_view transpose t permute clone slice select split split_with_sizes unbind cat stack unsqueeze squeeze
    expand repeat flip roll pixel_shuffle pixel_unshuffle channel_shuffle mean sum avg_pool2d _adaptive_avg_pool2d
    reflection_pad2d replication_pad2d upsample_nearest2d upsample_bilinear2d im2col index_select
"""
PRODUCTS = frozenset({"mul", "mm", "bmm"})
BATCH_NORMS = frozenset({"native_batch_norm", "cudnn_batch_norm", "_native_batch_norm_legit_no_training"})
#: The second as programs of TorchScript write it.
CONVOLUTIONS = frozenset({"convolution", "_convolution"})


def _both(node: Node, values: Values) -> list[Interval]:
    """The same operation on centres and on radii; of constants among its arguments the radius is 0."""
    centres = node.apply(lambda part: values(part).centre)
    without = node
    if any(isinstance(leaf, Tensor) and leaf.is_floating_point() for leaf in leaves_of(node.arguments)):
        zeros = mapped(lambda leaf: torch.zeros_like(leaf) if isinstance(leaf, Tensor) else leaf, node.arguments)
        without = replace(node, arguments=zeros)
    radii = without.apply(lambda part: values(part).radius)
    return [Interval(*pair) for pair in zip(listed(centres), listed(radii), strict=True)]


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
        raise no_rule(node, " by what depends on the images")
    inside = values(above)
    return [Interval(inside.centre / below, inside.radius / abs(below))]


def _negative(node: Node, values: Values) -> list[Interval]:
    inside = values(node.arguments[0])
    return [Interval(-inside.centre, inside.radius)]


def _matrix_product_and_bias(node: Node, values: Values) -> list[Interval]:
    bias, first, second = node.arguments
    if node.options or isinstance(bias, Part) or len(node.inputs) != 1:
        raise no_rule(node, " of more than one tensor that depends on the images")
    product = Node(node.index, "mm", torch.ops.aten.mm.default, (first, second), {}, node.shapes)
    (inside,) = _product(product, values)
    return [Interval(inside.centre + bias, inside.radius)]


def _convolution(node: Node, values: Values) -> list[Interval]:
    images, weight, _, *rest = node.arguments
    if isinstance(weight, Part) or not isinstance(images, Part):
        raise no_rule(node, " with weights that depend on the images")
    centre = node.apply(lambda part: values(part).centre)
    return [Interval(centre, node.call(values(images).radius, weight.abs(), None, *rest))]


def _batch_norm(node: Node, values: Values) -> list[Interval]:
    if len(node.inputs) != 1:
        raise no_rule(node, " with scales that depend on the images")
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


#: By the operation's name.
AFFINE_RULES: dict[str, Rule] = {
    **dict.fromkeys(SAME_FOR_BOTH.split(), _both),
    **dict.fromkeys(PRODUCTS, _product),
    **dict.fromkeys(CONVOLUTIONS, _convolution),
    **dict.fromkeys(BATCH_NORMS, _batch_norm),
    **dict.fromkeys(("add", "sub", "rsub"), _sum),
    "constant_pad_nd": _padded,
    "neg": _negative,
    "div": _quotient,
    "addmm": _matrix_product_and_bias,
}


def is_affine(node: Node) -> bool:
    """Whether a node is a matrix times what depends on the images, plus a constant."""
    return node.name in AFFINE_RULES and (node.name not in PRODUCTS or len(node.inputs) == 1)
