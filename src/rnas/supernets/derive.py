"""From architecture parameters to a discrete architecture.

For each node keep the two incoming edges whose strongest operation other than `none` weighs most, with that operation
(Liu et al. 2019, https://arxiv.org/abs/1806.09055, Section 2.4).
"""

from __future__ import annotations

from torch import Tensor

from rnas.genotype import Cell, Edge, Genotype
from rnas.spaces import darts

__all__ = ["derive_genotype", "mean_none_weight"]


def derive_genotype(alpha: Tensor, *, edges_per_node: int = 2) -> Genotype:
    """Derive the genotype of a DARTS alpha.

    Args:
        alpha: logits, shape (len(darts.KINDS), len(darts.EDGES), len(darts.OPERATIONS)).
        edges_per_node: incoming edges that each intermediate node keeps.

    Returns:
        A genotype with the cells "normal" and "reduce"; the strongest edge of a node comes first.
    """
    weights = alpha.detach().softmax(dim=-1).cpu()
    none = darts.OPERATIONS.index("none")
    weights[..., none] = -1
    strongest, operation = weights.max(dim=-1)
    outputs = range(darts.INPUTS, darts.INPUTS + darts.NODES)
    cells = {}
    for kind, name in enumerate(darts.KINDS):
        nodes = []
        for target in outputs:
            incoming = [index for index, (_, node) in enumerate(darts.EDGES) if node == target]
            incoming.sort(key=lambda index: -float(strongest[kind, index]))
            nodes.append(
                tuple(
                    Edge(darts.OPERATIONS[int(operation[kind, index])], darts.EDGES[index][0])
                    for index in incoming[:edges_per_node]
                )
            )
        cells[name] = Cell(nodes=tuple(nodes), concat=tuple(outputs), inputs=darts.INPUTS)
    return Genotype(cells)


def mean_none_weight(alpha: Tensor) -> float:
    """The mean softmax weight on `none`, in [0, 1]: how much of the supernet is switched off."""
    return float(alpha.detach().softmax(dim=-1)[..., darts.OPERATIONS.index("none")].mean())
