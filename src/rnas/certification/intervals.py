"""Interval bound propagation: the values of every layer on a box of images, one layer after the other.

References:
    Gowal et al. 2018, "On the Effectiveness of Interval Bound Propagation" (https://arxiv.org/abs/1810.12715).
"""

from __future__ import annotations

from collections.abc import Callable, Collection

from rnas.certification.affine_rules import AFFINE_RULES
from rnas.certification.boxes import Interval, Rule, Values, no_rule
from rnas.certification.curved_rules import CURVED_RULES
from rnas.certification.tape import Node, Part, Tape
from rnas.errors import ModelError

__all__ = ["RULES", "interval_of", "propagate"]

#: What each operation does to intervals, by its name.
RULES: dict[str, Rule] = {**AFFINE_RULES, **CURVED_RULES}
#: Of a node and the interval of its result, the interval to go on with.
Refinement = Callable[[Node, dict[Part, Interval]], None]


def interval_of(node: Node, values: Values) -> list[Interval]:
    """The intervals of a node's result, of which a pooling's indices have none.

    Raises:
        ModelError: if the operation has no rule; it is named.
    """
    if node.name not in RULES:
        raise no_rule(node)
    found = RULES[node.name](node, values)
    before, after = values(node.inputs[0]).centre.dtype, found[0].centre.dtype
    if before != after:
        # No rule tells how far values move where they are rounded.
        raise no_rule(node, f" from {before} to {after}")
    return found


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
