"""Which operations of ATen a model applies to images, in order: recorded from a run of the model itself.

The run has no images: its tensors have a shape and no values. So whatever looks at a value (an `if`, an `item()`,
numpy) cannot be recorded, and no branch is ever taken for all images because of some. Weights are recorded as the
tensors that they are, with their gradients: what is computed of a tape has gradients in weights, and in alpha for a
supernet.

A tape is made for each batch, in some milliseconds for a small network and some tenths of a second for a deep one, and
forgotten with it: neither the number of images nor a weight is ever fixed. Tried on all networks of the zoo were also
torch.fx (as fast, but it makes constants of random numbers, and refuses `len` and assertions on shapes), torch.export
(1 to 12 seconds a network, 22 for a supernet of DARTS) and make_fx with symbolic shapes (12 to 26 seconds).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

from rnas.errors import ModelError, reason_of

__all__ = ["Node", "Tape", "record"]

#: Operations whose result is a value, which a tape does not have.
LOOKING = frozenset({"_local_scalar_dense", "is_nonzero", "item", "equal", "nonzero", "masked_select", "unique"})
#: Operations that take of a tensor its shape alone.
SHAPE_ONLY = frozenset(
    {"zeros_like", "ones_like", "full_like", "empty_like", "new_zeros", "new_ones", "new_full", "new_empty"}
)
#: Operations whose result is their argument.
SAME = frozenset({"detach", "alias", "lift_fresh"})
#: Messages with which tensors without values refuse to be looked at from Python.
WITHOUT_VALUES = (".numpy() is not supported", ".tolist() is not supported", "Cannot access data pointer")
DEPENDS = "its control flow or a number in it depends on the images' values"


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
        return [leaf for leaf in tree_leaves((self.arguments, dict(self.options))) if isinstance(leaf, Part)]

    def apply(self, values: Callable[[Part], Tensor]) -> Any:
        """The operation on values, which a function finds for the parts among its arguments."""

        def value(leaf: Any) -> Any:
            return values(leaf) if isinstance(leaf, Part) else leaf

        return self.call(*tree_map(value, self.arguments), **tree_map(value, dict(self.options)))


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


class Cell:
    """What a tensor holds at the moment; tensors that are one and the same share it."""

    def __init__(self, part: Part) -> None:
        self.part = part
        #: Whether another tensor looks at a piece of it: then it must not be written to.
        self.viewed = False


class Unvalued(Tensor):
    """A tensor that depends on the images: a shape, and a place in the tape."""

    cell: Cell

    @staticmethod
    def __new__(cls, like: Tensor, device: torch.device, cell: Cell) -> Unvalued:
        """Make one with the shape, layout and format of another tensor."""
        made: Unvalued = Tensor._make_wrapper_subclass(
            cls, like.shape, strides=like.stride(), dtype=like.dtype, device=device
        )
        made.cell = cell
        return made

    def __init__(self, *_: object) -> None:
        """All is done by `__new__`."""

    def __repr__(self, **_: object) -> str:  # type: ignore[override]
        return f"Unvalued(shape={tuple(self.shape)})"

    @classmethod
    def __torch_dispatch__(cls, operation: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:  # type: ignore[override]
        raise ModelError(f"cannot bound the model: it calls {operation} after it has returned")


class Recorder(TorchDispatchMode):
    """Writes the tape while a model runs."""

    def __init__(self, images: Tensor) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.tape = Tape([Node(0, "images", _no_call, (), {}, (images.shape,))])
        self.device = images.device
        meta = torch.empty_like(images, device="meta")
        self.images = Unvalued(meta, self.device, Cell(Part(0)))

    def __torch_dispatch__(
        self, operation: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        options = dict(kwargs or {})
        name = operation._schema.name.removeprefix("aten::")
        if torch.Tag.nondeterministic_seeded in operation.tags and name != "native_dropout":
            raise _refusal(f"it draws random numbers (by {name}): dropout is active, or noise is added")
        tracked = [leaf for leaf in tree_leaves((args, options)) if isinstance(leaf, Unvalued)]
        if not tracked:
            return operation(*args, **options)
        if name in LOOKING:
            raise _refusal(f"{DEPENDS} (by {name})")
        if name in SAME:
            return Unvalued(_meta(args[0]), self.device, tracked[0].cell)
        targets = [leaf for leaf in _written(operation, args, options) if isinstance(leaf, Tensor)]
        written = [leaf for leaf in targets if isinstance(leaf, Unvalued)]
        if len(written) < len(targets):
            raise _refusal(f"it writes into a tensor of its own what depends on the images (by {name})")
        if name in SHAPE_ONLY:
            shapes = tree_map(lambda leaf: _blank(leaf, self.device) if isinstance(leaf, Unvalued) else leaf, args)
            return operation(*shapes, **options)
        results = operation(*tree_map(_meta, args), **tree_map(_meta, options))
        parts = [leaf for leaf in tree_leaves(results) if isinstance(leaf, Tensor)]
        call = operation
        if written:
            if any(tensor.cell.viewed for tensor in written):
                raise _refusal(f"it writes into a tensor that it also reads by another name (by {name})")
            name = name.rstrip("_")
            call = getattr(getattr(torch.ops.aten, name), operation._overloadname)
        if name in ("view", "_unsafe_view"):
            # What the tape computes may lie in memory in another order.
            call = torch.ops.aten.reshape.default
        node = self._write(name, call, args, options, tuple(part.shape for part in parts))
        if written:
            written[0].cell.part = Part(node.index)
            return written[0]
        views = any(returned.alias_info is not None for returned in operation._schema.returns)
        for tensor in tracked:
            tensor.cell.viewed |= views
        cells = [Cell(Part(node.index, place)) for place in range(len(parts))]
        for cell in cells:
            cell.viewed = views
        following = iter(cells)
        return tree_map(
            lambda leaf: Unvalued(leaf, self.device, next(following)) if isinstance(leaf, Tensor) else leaf, results
        )

    def _write(
        self, name: str, call: Any, args: Sequence[Any], options: Mapping[str, Any], shapes: tuple[torch.Size, ...]
    ) -> Node:
        def place(leaf: Any) -> Any:
            return leaf.cell.part if isinstance(leaf, Unvalued) else leaf

        node = Node(len(self.tape.nodes), name, call, tree_map(place, tuple(args)), tree_map(place, options), shapes)
        self.tape.nodes.append(node)
        return node


def record(model: Callable[[Tensor], Tensor], images: Tensor) -> Tape:
    """What a model would do with images.

    Args:
        model: images (N, C, H, W) to logits (N, classes), in the mode in which it is.
        images: only their shape, format and device count.

    Raises:
        ModelError: if the model looks at values, draws random numbers, ignores the images, or fails.
    """
    recorder = Recorder(images)
    try:
        with torch.inference_mode(False), recorder:
            logits = model(recorder.images)
    except ModelError:
        raise
    except (Exception, SystemExit) as error:
        raise _refusal(_reason(error)) from error
    if not isinstance(logits, Tensor) or logits.dim() != 2 or len(logits) != len(images):
        got = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
        raise ModelError(f"expected logits of shape ({len(images)}, classes) from the model, got {got}")
    if not isinstance(logits, Unvalued):
        raise _refusal("its logits do not depend on the images")
    recorder.tape.logits = logits.cell.part
    return recorder.tape


def _refusal(reason: str) -> ModelError:
    return ModelError(f"cannot bound the model: {reason}")


def _reason(error: BaseException) -> str:
    """Why a run without values failed, in one line."""
    if any(words in str(error) for words in (*WITHOUT_VALUES, DEPENDS)):
        return DEPENDS
    return reason_of(error)


def _meta(leaf: Any) -> Any:
    """A tensor as one without memory; anything else as it is."""
    if not isinstance(leaf, Tensor):
        return torch.device("meta") if isinstance(leaf, torch.device) else leaf
    return torch.empty_strided(leaf.shape, leaf.stride(), dtype=leaf.dtype, device="meta")


def _blank(like: Tensor, device: torch.device) -> Tensor:
    """A tensor whose values nobody reads."""
    return torch.empty_strided(like.shape, like.stride(), dtype=like.dtype, device=device)


def _written(operation: Any, args: Sequence[Any], options: Mapping[str, Any]) -> Iterator[Any]:
    """The arguments that an operation changes in place; running statistics are none, for nothing is run."""
    if "batch_norm" in operation._schema.name:
        return
    for place, argument in enumerate(operation._schema.arguments):
        if argument.alias_info is not None and argument.alias_info.is_write:
            yield args[place] if place < len(args) else options.get(argument.name)


def _no_call(*_: Any) -> Any:
    raise AssertionError("the images are given")
