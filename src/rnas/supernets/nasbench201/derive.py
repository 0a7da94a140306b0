"""From alpha to a cell of NAS-Bench-201: among all of them the most likely connected one, or the largest.

The space is small enough to look at every cell.
"""

from __future__ import annotations

import functools

import torch
from torch import Tensor

from rnas.config import require
from rnas.errors import ConfigError
from rnas.genotype import Genotype
from rnas.spaces import nasbench201

__all__ = ["choose_connected_genotype", "derive_connected_genotype", "largest_genotype"]


@functools.cache
def connected_cells() -> tuple[Tensor, Tensor, Tensor]:
    """All connected cells.

    Returns:
        Their operations as indices, shape (cells, edges); parameters without the edges on no path, shape (cells,); and
        whether there are no such edges, shape (cells,).
    """
    cells = [cell for cell in nasbench201.all_cells() if nasbench201.is_connected(cell)]
    pruned = [nasbench201.without_dead_edges(cell) for cell in cells]
    return (
        torch.tensor([[nasbench201.OPERATIONS.index(name) for name in cell] for cell in cells]),
        torch.tensor([nasbench201.count_parameters(cell) for cell in pruned]),
        torch.tensor([cell == itself for cell, itself in zip(pruned, cells, strict=True)]),
    )


def derive_connected_genotype(alpha: Tensor, at_most: int | None = None) -> Genotype:
    """Derive the most likely connected cell: with the greatest sum of log softmax weights. Edges may get `none`.

    Args:
        alpha: logits, shape (1, len(nasbench201.EDGES), len(nasbench201.OPERATIONS)).
        at_most: parameters that its network may have in the benchmark's form; None for any number.

    Returns:
        A genotype with the cell "cell", never a disconnected one; edges on no path get `none`.

    Raises:
        ConfigError: if no cell is so small.
    """
    sums = sum_over_edges(alpha.detach()[0].double().cpu().log_softmax(dim=-1))
    return greatest(sums, at_most)


def choose_connected_genotype(weights: Tensor, at_most: int | None = None) -> Genotype:
    """The same of the greatest product of weights >= 0, shape as alpha's; weight 0 is out of the question."""
    return greatest(sum_over_edges(weights.detach()[0].double().cpu().log()), at_most)


def largest_genotype(at_most: int | None, generator: torch.Generator) -> Genotype:
    """A connected cell with the most parameters, of those with at most so many; raises as `derive_connected_genotype`.

    Args:
        at_most: see `derive_connected_genotype`.
        generator: on the CPU; decides between equal ones.
    """
    _, sizes, whole = connected_cells()
    # Cells with edges on no path compute the same as whole ones: each network is drawn once.
    ties = torch.rand(sizes.shape, generator=generator).double()
    return greatest((sizes + ties / 2).masked_fill(~whole, -torch.inf), at_most)


def sum_over_edges(weights: Tensor) -> Tensor:
    """For each connected cell the sum of its operations' weights, shape (edges, operations) to (cells,)."""
    return weights.t().gather(0, connected_cells()[0]).sum(dim=1)


def greatest(scores: Tensor, at_most: int | None) -> Genotype:
    """The connected cell with the greatest score, shape (cells,), within the limit, without its edges on no path."""
    cells, sizes, _ = connected_cells()
    if at_most is not None:
        least = int(sizes.min())
        require(at_most >= least, "size_limit", f"at least {least:,} parameters", at_most)
        scores = scores.masked_fill(sizes > at_most, -torch.inf)
    if scores.max() == -torch.inf:
        raise ConfigError(f"expected a connected cell of operations of weight > 0 within {at_most}, got none")
    best = [nasbench201.OPERATIONS[index] for index in cells[int(scores.argmax())].tolist()]
    return nasbench201.genotype_of(nasbench201.without_dead_edges(best))
