"""The processes of a run: how many, which is this one, and what they tell each other."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import torch
from torch import Tensor, distributed

from rnas.errors import ConfigError, RunError

__all__ = ["agreed", "follow", "from_first", "rank", "reduced", "size"]

Value = TypeVar("Value")


def size() -> int:
    """The number of processes."""
    return distributed.get_world_size() if distributed.is_available() and distributed.is_initialized() else 1


def rank() -> int:
    """The number of this process, from 0. Only the first one writes the run directory."""
    return distributed.get_rank() if size() > 1 else 0


@contextmanager
def connected() -> Iterator[None]:
    """Tell in one line that another process is gone.

    Raises:
        RunError: instead of what the library raises.
    """
    try:
        yield
    except RuntimeError as error:
        reason = str(error).partition("\n")[0]
        raise RunError(
            f"a process of this run does not answer ({reason}); the same command continues from the last checkpoint"
        ) from error


def reduced(tensor: Tensor) -> Tensor:
    """The sum of a contiguous tensor over all processes, in place and bit for bit the same in all."""
    with connected():
        distributed.all_reduce(tensor)
    return tensor


def from_first(make: Callable[[], Value]) -> Value:
    """Give all processes what the first one makes.

    Args:
        make: called in the first process only; returns plain values and tensors on the CPU.
    """
    if size() == 1:
        return make()
    box = [make() if rank() == 0 else None]
    with connected():
        distributed.broadcast_object_list(box)
    (value,) = box
    return value  # type: ignore[return-value]  # the first's, never the None of the others


def agreed(name: str, value: Value) -> Value:
    """A value that all processes were started with.

    Raises:
        ConfigError: in those where it is not the first's.
    """
    if from_first(lambda: value) != value:
        raise ConfigError(
            f"process {rank()} has other {name} than process 0: start all with one command on equal files"
        )
    return value


@torch.no_grad()
def follow(tensors: Iterable[Tensor]) -> None:
    """Give tensors the values that they have in the first process."""
    if size() == 1:
        return
    for tensor in tensors:
        with connected():
            value = tensor.contiguous()
            distributed.broadcast(value, src=0)
        tensor.copy_(value)
