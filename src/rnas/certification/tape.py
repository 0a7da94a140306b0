"""A tape: the operations of ATen that a model applies to images, in order, as `recording` writes them down."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

__all__ = ["Node", "Part", "Tape", "leaves_of", "mapped"]


def mapped(function: Callable[[Any], Any], value: Any) -> Any:
    """A function of every leaf of nested lists, tuples and dictionaries; far faster than torch's for all kinds."""
    if isinstance(value, list | tuple):
        return type(value)([mapped(function, item) for item in value])
    if isinstance(value, dict):
        return {key: mapped(function, item) for key, item in value.items()}
    return function(value)


def leaves_of(values: tuple[Any, ...] | list[Any]) -> list[Any]:
    """The leaves of nested lists and tuples, in order."""
    found: list[Any] = []
    for value in values:
        if isinstance(value, list | tuple):
            found += leaves_of(value)
        else:
            found.append(value)
    return found


@dataclass(frozen=True, eq=False)
class Node:
    """An operation on what depends on the images, or the images themselves.

    Args:
        index: place in the tape.
        name: of the operation in ATen, such as "convolution"; "images" for the images.
        call: the operation, with its overload.
        arguments: by position, with a `Node` or `Part` where a tensor depends on the images.
        options: by name, the same.
        shapes: of each tensor in the result.
    """

    index: int
    name: str
    call: Callable[..., Any]
    arguments: tuple[Any, ...]
    options: Mapping[str, Any]
    shapes: tuple[torch.Size, ...]

    @property
    def inputs(self) -> list[Part]:
        """The results of other nodes among the arguments."""
        return [leaf for leaf in leaves_of((self.arguments, *self.options.values())) if isinstance(leaf, Part)]

    def apply(self, values: Callable[[Part], Tensor]) -> Any:
        """The operation on values, which a function finds for the parts among its arguments."""

        def value(leaf: Any) -> Any:
            return values(leaf) if isinstance(leaf, Part) else leaf

        return self.call(*mapped(value, self.arguments), **mapped(value, self.options))


@dataclass(frozen=True)
class Part:
    """One tensor of a node's result.

    Args:
        node: the node's index.
        place: which tensor of its result.
    """

    node: int
    place: int = 0


@dataclass
class Tape:
    """The nodes in order, the images first, and which part are the logits."""

    nodes: list[Node] = field(default_factory=list)
    logits: Part = Part(0)

    def shape(self, part: Part) -> torch.Size:
        """Of one tensor."""
        return self.nodes[part.node].shapes[part.place]

    def needed(self) -> list[Node]:
        """The nodes that the logits depend on, in order."""
        wanted = {self.logits.node}
        for node in reversed(self.nodes):
            if node.index in wanted:
                wanted |= {part.node for part in node.inputs}
        return [node for node in self.nodes if node.index in wanted]
