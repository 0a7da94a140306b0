"""Backward linear bounds: a linear function of the images below each margin, found from the logits backwards.

    z_label - z_j >= A x + b on the box, so >= A c - |A| r + b for the box's centre c and radius r

A and b start as the rows of the margins. An affine operation passes A through its transpose. A unit of a ReLU that may
be on or off, between l < 0 < u, lies below the line u (x - l) / (u - l) and above x or 0, whichever is nearer; a
greatest pixel lies above the one whose lower end is greatest; everything else lies between the ends of its interval.

References:
    Zhang et al. 2018, "Efficient Neural Network Robustness Certification with General Activation Functions" (CROWN,
    https://arxiv.org/abs/1811.00866), Section 3.2 and Table 2; the choice of the lower line is their adaptive one.
    Singh et al. 2019, "An Abstract Domain for Certifying Neural Networks" (DeepPoly), for the greatest pixel.
    Zhang et al. 2019, "Towards Stable and Efficient Training of Verifiably Robust Neural Networks" (CROWN-IBP,
    https://arxiv.org/abs/1906.06316), Section 3: intervals for the units inside, one pass backwards for the margins.

Deviations:
    Operations of any kind are passed backwards by automatic differentiation.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

import torch
from torch import Tensor

from rnas.certification.affine_rules import BATCH_NORMS, is_affine, scale_and_shift
from rnas.certification.boxes import Interval
from rnas.certification.intervals import propagate
from rnas.certification.tape import Node, Part, Tape

__all__ = ["Rows", "bounded_units", "concretise", "lower_bounds", "rows_at_a_time", "step", "tight_intervals"]

#: Bytes that the coefficients of four layers may take.
MEMORY = 2**28


class Rows:
    """Linear functions of some parts of a tape, all of one image each, plus a constant.

    The values that belong to one image lie side by side in every part: `trace` sees to that.

    Args:
        coefficients: for each part (rows, *shape of the part).
        constant: shape (rows, N).
    """

    def __init__(self, coefficients: dict[Part, Tensor], constant: Tensor) -> None:
        self.coefficients = coefficients
        self.constant = constant

    def add(self, part: Part, coefficients: Tensor) -> None:
        """Add to the coefficients of a part."""
        before = self.coefficients.get(part)
        self.coefficients[part] = coefficients if before is None else before + coefficients


def bounded_units(tape: Tape) -> set[Part]:
    """The parts whose intervals a pass backwards needs: what enters nodes that are not affine, and leaves some."""
    needed = {Part(0)}
    for node in tape.nodes[1:]:
        if node.name in RELAXATIONS:
            needed.add(node.arguments[0])
        if node.name not in EXACT and not is_affine(node):
            needed |= {Part(node.index, place) for place in range(len(node.shapes))}
    return needed


def step(tape: Tape, node: Node, rows: Rows, intervals: Mapping[Part, Interval]) -> None:
    """Replace a node's result in linear functions by its arguments, or by a constant; they only get smaller."""
    outputs = [Part(node.index, place) for place in range(len(node.shapes))]
    given = {part: rows.coefficients.pop(part) for part in outputs if part in rows.coefficients}
    if not given:
        return
    if is_affine(node):
        _through_transpose(tape, node, given, rows)
    elif node.name in RELAXATIONS:
        RELAXATIONS[node.name](node, given[outputs[0]], rows, intervals)
    else:
        for part, coefficients in given.items():
            rows.constant = rows.constant + _least(coefficients, intervals[part], rows)


def _through_transpose(tape: Tape, node: Node, given: dict[Part, Tensor], rows: Rows) -> None:
    parts = list(dict.fromkeys(node.inputs))
    some = next(iter(given.values()))
    zeros = [some.new_zeros(tape.shape(part)) for part in parts]

    def compute(*values: Tensor) -> tuple[Tensor, ...]:
        found = dict(zip(parts, values, strict=True))
        if node.name in BATCH_NORMS:
            sides = (-1, *[1] * (values[0].dim() - 2))
            scale, shift = scale_and_shift(node)
            return (values[0] * scale.view(sides) + shift.view(sides),)
        results: Any = node.apply(found.__getitem__)
        return (results,) if isinstance(results, Tensor) else tuple(results)

    constants, transpose = torch.func.vjp(compute, *zeros)  # type: ignore[misc]  # without auxiliary values
    cotangents = tuple(
        given[part] if (part := Part(node.index, place)) in given else constant.expand(len(some), *constant.shape) * 0
        for place, constant in enumerate(constants)
    )
    for part, coefficients in zip(parts, torch.vmap(transpose)(cotangents), strict=True):
        rows.add(part, coefficients)
    for constant, coefficients in zip(constants, cotangents, strict=True):
        rows.constant = rows.constant + _dot(coefficients, constant, rows)


def _relu(node: Node, given: Tensor, rows: Rows, intervals: Mapping[Part, Interval]) -> None:
    entering = intervals[node.arguments[0]]
    low, high = entering.low, entering.high
    on, unsure = low >= 0, (low < 0) & (high > 0)
    slope = torch.where(unsure, high / torch.where(unsure, high - low, 1), on.to(low.dtype))
    shift = torch.where(unsure, -slope * low, 0)
    lower = (high > -low) | on
    below, above = given.clamp(max=0), given.clamp(min=0)
    rows.constant = rows.constant + _dot(below, shift, rows)
    rows.add(node.arguments[0], below * slope + above * lower)


def _max_pool(node: Node, given: Tensor, rows: Rows, intervals: Mapping[Part, Interval]) -> None:
    def pool(values: Tensor) -> Tensor:
        return node.call(values, *node.arguments[1:], **node.options)[0]

    part = node.arguments[0]
    highest = intervals[Part(node.index)].high
    below, above = given.clamp(max=0), given.clamp(min=0)
    _, transpose = torch.func.vjp(pool, intervals[part].low.detach())  # type: ignore[misc]
    rows.constant = rows.constant + _dot(below, highest, rows)
    rows.add(part, torch.vmap(transpose)(above)[0])


#: Operations that are not affine, but lie between affine ones.
RELAXATIONS: dict[str, Callable[[Node, Tensor, Rows, Mapping[Part, Interval]], None]] = {
    "relu": _relu,
    "max_pool2d_with_indices": _max_pool,
}
#: Those for which the interval of what enters is enough.
EXACT = frozenset({"relu"})


def lower_bounds(tape: Tape, start: Part, rows: Tensor, intervals: Mapping[Part, Interval]) -> Tensor:
    """Lower bounds of linear functions of one part of a tape on a box of images.

    Args:
        tape: the network.
        start: the part.
        rows: the functions, shape (rows, *shape of the part).
        intervals: of the images, and of `bounded_units` before the part.

    Returns:
        Shape (rows, N).
    """
    state = Rows({start: rows}, rows.new_zeros(len(rows), tape.nodes[0].shapes[0][0]))
    for node in reversed(tape.nodes[1 : start.node + 1]):
        step(tape, node, state, intervals)
    return concretise(state, intervals)


def concretise(rows: Rows, intervals: Mapping[Part, Interval]) -> Tensor:
    """The least values of linear functions of parts that are in intervals, shape (rows, N)."""
    total = rows.constant
    for part, coefficients in rows.coefficients.items():
        total = total + _least(coefficients, intervals[part], rows)
    return total


def tight_intervals(tape: Tape, images: Interval, kept: Collection[Part]) -> dict[Part, Interval]:
    """Intervals in which the units that may be on or off are bounded by passes backwards of their own.

    Args:
        tape: the network.
        images: the box that they are in.
        kept: the parts whose intervals are wanted, `bounded_units` among them.
    """
    at_a_time = max(1, rows_at_a_time(tape, images.centre) // 2)

    def refine(node: Node, found: dict[Part, Interval]) -> None:
        if node.name not in RELAXATIONS or (part := node.arguments[0]).node == 0:
            return
        low, high = (end.reshape(len(images.centre), -1).clone() for end in (found[part].low, found[part].high))
        unsure = ((low < 0) & (high > 0)) if node.name == "relu" else torch.ones_like(low, dtype=torch.bool)
        shape = tape.shape(part)
        chunks = unsure.any(dim=0).nonzero().flatten().split(at_a_time)
        for units in filter(len, chunks):
            rows = low.new_zeros(len(units), *low.shape)
            rows[torch.arange(len(units)), :, units] = 1
            rows = rows.view(len(units), *shape)
            below, above = lower_bounds(tape, part, torch.cat([rows, -rows]), found).chunk(2)
            low[:, units] = torch.maximum(low[:, units], below.T)
            high[:, units] = torch.minimum(high[:, units], -above.T)
        found[part] = Interval.between(low.view(shape), torch.maximum(low, high).view(shape))

    return propagate(tape, images, kept, refine)


def rows_at_a_time(tape: Tape, images: Tensor) -> int:
    """How many linear functions go backwards together, at least one, so that some layers of coefficients fit in memory.

    Args:
        tape: the network.
        images: what it was recorded for.
    """
    largest = max(shape.numel() for node in tape.nodes for shape in node.shapes)
    return max(1, MEMORY // (4 * largest * images.element_size()))


def _dot(coefficients: Tensor, values: Tensor, rows: Rows) -> Tensor:
    """Of coefficients of a part and its values, image by image, shape (rows, N)."""
    count, images = len(coefficients), rows.constant.shape[1]
    return torch.einsum("rni,ni->rn", coefficients.reshape(count, images, -1), values.reshape(images, -1))


def _least(coefficients: Tensor, interval: Interval, rows: Rows) -> Tensor:
    """Of linear functions on an interval, shape (rows, N)."""
    return _dot(coefficients, interval.centre, rows) - _dot(coefficients.abs(), interval.radius, rows)
