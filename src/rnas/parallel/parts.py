"""A batch divided among the processes: rows, noise, and means over the rows of all."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from rnas.attacks.noise import PartGenerator
from rnas.errors import ConfigError
from rnas.parallel.processes import rank, reduced, size

__all__ = ["OwnPart", "generator", "means", "own", "part_of", "present", "summed", "weighted"]


@dataclass(frozen=True)
class OwnPart:
    """The rows of a batch that each process works on, of numbers as equal as can be.

    Args:
        total: images of the batch, at least one for each process.
        rank: this process.
        size: number of processes.
    """

    total: int
    rank: int
    size: int

    @property
    def rows(self) -> slice:
        """The rows of this process."""
        return slice(self.total * self.rank // self.size, self.total * (self.rank + 1) // self.size)

    @property
    def share(self) -> float:
        """The part of all rows that are this process's."""
        return self.shares[self.rank]

    @property
    def shares(self) -> list[float]:
        """The same of each process; they add up to 1."""
        ends = [self.total * number // self.size for number in range(self.size + 1)]
        return [(end - start) / self.total for start, end in pairwise(ends)]


_present: OwnPart | None = None


def present() -> OwnPart | None:
    """The part that this process works on; None outside of `part_of`, and in a single process."""
    return _present


@contextmanager
def part_of(total: int) -> Iterator[None]:
    """Work on a part of a batch inside.

    Args:
        total: images of the batch.

    Raises:
        ConfigError: if there are fewer of them than processes.
    """
    global _present
    if size() == 1:
        yield
        return
    if total < size():
        raise ConfigError(
            f"batch_size: expected an image for each of the {size()} processes, got batches of {total}: "
            "choose a larger batch_size, or start fewer processes"
        )
    before, _present = _present, OwnPart(total, rank(), size())
    try:
        yield
    finally:
        _present = before


def own(tensor: Tensor) -> Tensor:
    """The rows of a whole batch that are this process's."""
    return tensor if _present is None else tensor[_present.rows]


def generator(device: torch.device | str, seed: int) -> torch.Generator:
    """A generator of which `rnas.attacks.noise.draw` gets, for the own rows, what one process gets for these rows.

    Args:
        device: where it draws.
        seed: the same in all processes.
    """
    if _present is None:
        return torch.Generator(device).manual_seed(seed)
    source = PartGenerator(device)
    source.rows, source.total = _present.rows, _present.total
    source.manual_seed(seed)
    return source


def weighted(loss: Tensor) -> Tensor:
    """A mean over the own rows as its term of the mean over all rows: the gradients of these terms are to be summed."""
    return loss if _present is None else loss * _present.share


def summed(tensors: Sequence[Tensor]) -> list[Tensor]:
    """The sums over all processes of tensors on one device, in one message."""
    if _present is None or not tensors:
        return list(tensors)
    whole = reduced(torch.cat([tensor.detach().reshape(-1) for tensor in tensors]))
    parts = whole.split([tensor.numel() for tensor in tensors])
    return [part.view_as(tensor).to(tensor.dtype) for part, tensor in zip(parts, tensors, strict=True)]


def means(values: Mapping[str, float]) -> dict[str, float]:
    """Means over the rows of all, of means over the own rows by name."""
    if _present is None:
        return dict(values)
    terms = torch.tensor(list(values.values()), dtype=torch.float64) * _present.share
    return dict(zip(values, reduced(terms).tolist(), strict=True))
