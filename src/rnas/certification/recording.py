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

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache, lru_cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from rnas.certification.tape import Node, Part, Tape, leaves_of, mapped
from rnas.errors import ModelError, reason_of

__all__ = ["record"]

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


class Cell:
    """What a tensor holds at the moment; tensors that are one and the same share it."""

    def __init__(self, part: Part, viewed: bool = False) -> None:
        self.part = part
        #: Whether another tensor looks at a piece of it: then it must not be written to.
        self.viewed = viewed


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
    """Writes the tape while a model runs.

    Args:
        images: only their shape, format and device count.
        buffers: of the model, which stay as they are.
    """

    def __init__(self, images: Tensor, buffers: Iterable[Tensor]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.tape = Tape([Node(0, "images", _no_call, (), {}, (images.shape,))])
        self.kept = {id(buffer) for buffer in buffers}
        #: The tensors of the model's own that the tape computes with, and how often they had been written to by then.
        self.constants: list[tuple[Tensor, int]] = []
        self.refusal: ModelError | None = None
        self.device = images.device
        meta = torch.empty_like(images, device="meta")
        self.images = Unvalued(meta, self.device, Cell(Part(0)))

    def __torch_dispatch__(
        self, operation: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        name = operation._schema.name.removeprefix("aten::")
        if torch.Tag.nondeterministic_seeded in operation.tags:
            raise self._refuse(f"it draws random numbers (by {name}): dropout is active, or noise is added")
        options = kwargs or {}
        leaves = leaves_of((tuple(args), *options.values()))
        tracked = [leaf for leaf in leaves if isinstance(leaf, Unvalued)]
        if not tracked:
            if _writes(operation) and id(args[0]) in self.kept:
                return args[0]  # counters of a model's calls, such as those of batch norms in training mode
            return operation(*args, **options)
        if name in LOOKING:
            raise self._refuse(f"{DEPENDS} (by {name})")
        if name in SAME:
            return Unvalued(args[0], self.device, tracked[0].cell)
        if name in SHAPE_ONLY:
            return operation(*(self._blank(leaf) if isinstance(leaf, Unvalued) else leaf for leaf in args), **options)
        results = _results(
            operation, _described(tuple(args)), tuple((key, _described(options[key])) for key in options)
        )
        written = self._written(operation, name, args)
        views = _is_view(operation)
        if written is not None:
            name = name.removesuffix("_")
            operation = getattr(getattr(torch.ops.aten, name), operation._overloadname)
        elif name in ("view", "_unsafe_view"):
            # What the tape computes may lie in memory in another order.
            operation = torch.ops.aten.reshape.default
        shapes = tuple(leaf.shape for leaf in leaves_of((results,)) if isinstance(leaf, Tensor))

        def placed(leaf: Any) -> Any:
            if isinstance(leaf, Unvalued):
                return leaf.cell.part
            if isinstance(leaf, Tensor):
                self.constants.append((leaf, _version(leaf)))
            return leaf

        arguments, others = mapped(placed, tuple(args)), mapped(placed, options)
        node = Node(len(self.tape.nodes), name, operation, arguments, others, shapes)
        self.tape.nodes.append(node)
        if written is not None:
            written.cell.part = Part(node.index)
            return written
        for tensor in tracked:
            tensor.cell.viewed |= views
        places = itertools.count()

        def unvalued(leaf: Any) -> Any:
            if not isinstance(leaf, Tensor):
                return leaf
            return Unvalued(leaf, self.device, Cell(Part(node.index, next(places)), views))

        return mapped(unvalued, results)

    def _blank(self, like: Tensor) -> Tensor:
        """A tensor whose values nobody reads."""
        return torch.empty_strided(like.shape, like.stride(), dtype=like.dtype, device=self.device)

    def _refuse(self, reason: str) -> ModelError:
        """An error that is raised again after the run, whatever the model has made of it."""
        self.refusal = _refusal(reason)
        return self.refusal

    def _written(self, operation: Any, name: str, args: Sequence[Any]) -> Unvalued | None:
        """The tensor that an operation changes in place; running statistics are none, for nothing is run."""
        if not _writes(operation) or "batch_norm" in name:
            return None
        if not isinstance(args[0], Unvalued) or not name.endswith("_"):
            raise self._refuse(f"it writes into a tensor of its own what depends on the images (by {name})")
        if args[0].cell.viewed:
            raise self._refuse(f"it writes into a tensor that it also reads by another name (by {name})")
        return args[0]


def record(model: Callable[[Tensor], Tensor], images: Tensor) -> Tape:
    """What a model would do with images.

    Args:
        model: images (N, C, H, W) to logits (N, classes), in the mode in which it is.
        images: only their shape, format and device count.

    Raises:
        ModelError: if the model looks at values, draws random numbers, ignores the images, or fails.
    """
    recorder = Recorder(images, model.buffers() if isinstance(model, nn.Module) else ())
    try:
        with torch.inference_mode(False), recorder:
            logits = model(recorder.images)
    except (Exception, SystemExit) as error:
        raise recorder.refusal or _refusal(_reason(error)) from error
    if recorder.refusal is not None:
        raise recorder.refusal
    if any(_version(constant) != version for constant, version in recorder.constants):
        raise _refusal("it changes a tensor of its own after computing with it")
    if not isinstance(logits, Tensor) or logits.dim() != 2 or len(logits) != len(images):
        got = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
        raise ModelError(f"expected logits of shape ({len(images)}, classes) from the model, got {got}")
    if not isinstance(logits, Unvalued):
        raise _refusal("its logits do not depend on the images")
    recorder.tape.logits = logits.cell.part
    return recorder.tape


def _version(tensor: Tensor) -> int:
    """How often a tensor, or one that it is a piece of, has been written to."""
    return 0 if tensor.is_inference() else tensor._version


def _refusal(reason: str) -> ModelError:
    return ModelError(f"cannot bound the model: {reason}")


def _reason(error: BaseException) -> str:
    """Why a run without values failed, in one line."""
    if any(words in str(error) for words in (*WITHOUT_VALUES, DEPENDS)):
        return DEPENDS
    return reason_of(error)


def _described(value: Any) -> tuple[Any, ...]:
    """All that the shape of a result depends on: of a tensor its shape, layout and format; its type and value else."""
    if isinstance(value, Tensor):
        return Tensor, value.shape, value.stride(), value.dtype
    if isinstance(value, list | tuple):
        return type(value), *map(_described, value)
    return type(value), value


def _valueless(kind: Any, *rest: Any) -> Any:
    """What was described, tensors without memory."""
    if kind is Tensor:
        shape, strides, dtype = rest
        return torch.empty_strided(shape, strides, dtype=dtype, device="meta")
    if issubclass(kind, list | tuple):
        return kind(_valueless(*item) for item in rest)
    return torch.device("meta") if kind is torch.device else rest[0]


@lru_cache(maxsize=10_000)
def _results(operation: Callable[..., Any], args: tuple[Any, ...], options: tuple[tuple[str, Any], ...]) -> Any:
    """What an operation gives for arguments so described, as tensors without memory; many layers are alike."""
    return operation(*_valueless(*args), **{key: _valueless(*value) for key, value in options})


@cache
def _writes(operation: Any) -> bool:
    """Whether an operation changes one of its arguments."""
    return any(
        argument.alias_info is not None and argument.alias_info.is_write for argument in operation._schema.arguments
    )


@cache
def _is_view(operation: Any) -> bool:
    """Whether its result is a piece of an argument."""
    return any(returned.alias_info is not None for returned in operation._schema.returns)


def _no_call(*_: Any) -> Any:
    raise AssertionError("the images are given")
