"""A tape of fewer operations that computes the same: batch norms in convolutions, clamps as ReLUs, nothing twice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from rnas.certification.affine_rules import BATCH_NORMS, CONVOLUTIONS, scale_and_shift
from rnas.certification.tape import Node, Part, Tape, leaves_of, mapped

__all__ = ["simplified"]

ATEN = torch.ops.aten


def simplified(tape: Tape, statistics: Mapping[int, tuple[Tensor, Tensor]] | None = None) -> Tape:
    """The same function in other nodes, only of those that the logits depend on.

    Args:
        tape: from `record`; left as it was.
        statistics: mean and variance that batch norms shall take, by the node's index; others keep their own.
    """
    needed = tape.needed()
    uses = Counter(part for node in needed for part in node.inputs)
    made = Tape()
    moved: dict[Part, Part] = {}
    #: By what is computed without tensors of the model's own: the edges of a cell often begin with one ReLU.
    known: dict[str, Part] = {}

    def add(name: str, call: Any, arguments: tuple[Any, ...], shapes: tuple[torch.Size, ...], **options: Any) -> Part:
        node = Node(len(made.nodes), name, call, arguments, options, shapes)
        if not any(isinstance(leaf, Tensor) for leaf in leaves_of((arguments, *options.values()))):
            text = repr((name, call, arguments, options))
            if text in known:
                return known[text]
            known[text] = Part(node.index)
        made.nodes.append(node)
        return Part(node.index)

    def upper_part(part: Part, least: float, shapes: tuple[torch.Size, ...]) -> Part:
        """max(x, least) - least = relu(x - least)."""
        shifted = add("sub", ATEN.sub.Tensor, (part, least), shapes) if least else part
        return add("relu", ATEN.relu.default, (shifted,), shapes)

    for node in needed:
        arguments = mapped(lambda leaf: moved[leaf] if isinstance(leaf, Part) else leaf, node.arguments)
        options = mapped(lambda leaf: moved[leaf] if isinstance(leaf, Part) else leaf, dict(node.options))
        if statistics is not None and node.index in statistics:
            arguments = (*arguments[:3], *statistics[node.index], False, *arguments[6:])
        if (bounds := _clamp(node)) is not None:
            least, most = bounds
            part = arguments[0]
            if least is not None:
                part = upper_part(part, least, node.shapes)
                part = add("add", ATEN.add.Tensor, (part, least), node.shapes) if least else part
            if most is not None:
                # min(x, most) = most - relu(most - x)
                below = add("rsub", ATEN.rsub.Scalar, (part, most), node.shapes)
                below = add("relu", ATEN.relu.default, (below,), node.shapes)
                part = add("rsub", ATEN.rsub.Scalar, (below, most), node.shapes)
            moved[Part(node.index)] = part
            continue
        source = made.nodes[arguments[0].node] if node.name in BATCH_NORMS else None
        if source is not None and uses[node.inputs[0]] == 1 and _convolves(source):
            scale, shift = scale_and_shift(replace(node, arguments=arguments))
            images, weight, bias, *rest = source.arguments
            weight = weight * scale.view(-1, *[1] * (weight.dim() - 1))
            shift = shift if bias is None else shift + bias * scale
            folded = replace(source, arguments=(images, weight, shift, *rest))
            made.nodes[source.index] = folded
            moved[Part(node.index)] = Part(source.index)
            continue
        added = add(node.name, node.call, arguments, node.shapes, **options)
        for place in range(len(node.shapes)):
            moved[Part(node.index, place)] = Part(added.node, place)
    made.logits = moved[tape.logits]
    return made


def _clamp(node: Node) -> tuple[float | None, float | None] | None:
    """The least and the greatest value that a clamp by numbers leaves; None where the node is no such clamp."""
    numbers = node.arguments[1:]
    if node.options or not all(number is None or isinstance(number, int | float) for number in numbers):
        return None
    if node.name == "clamp_max":
        return None, numbers[0]
    if node.name == "clamp_min":
        return numbers[0], None
    if node.name == "hardtanh":
        return numbers or (-1.0, 1.0)
    if node.name == "clamp":
        return (*numbers, None)[:2]
    return None


def _convolves(node: Node) -> bool:
    """Whether a node is a convolution, not a transposed one."""
    return node.name in CONVOLUTIONS and not node.arguments[6]
