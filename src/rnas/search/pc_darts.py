"""PC-DARTS: operations are computed on one in K channels, and what a node reads is weighed edge by edge.

    f_ij(x) = sum over o of softmax(alpha_ij)_o o(S x) + (1 - S) x                                       (Eq. 2)
    x_j = sum over i of softmax over i of (beta_ij) f_ij(x_i)                                            (Eq. 3)

S chooses the channels (`rnas.supernets.partial`). Most of an edge then does not depend on its operations, so that those
without weights, which are at an advantage early, gain less by it; beta steadies which edges are kept. Alpha and beta
are trained together, and the genotype is that of the greatest products of both softmaxes.

References:
    Xu et al. 2020, "PC-DARTS: Partial Channel Connections for Memory-Efficient Architecture Search"
    (https://arxiv.org/abs/1907.05737), Section 3.

Deviations:
    Losses are those of Eq. 8 of RNAS; the paper's are clean.
    Where a cell has one operation on every edge, as in NAS-Bench-201, beta decides nothing in the end.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from rnas.config import require
from rnas.genotype import Genotype
from rnas.search.adversarial_darts import AdversarialDarts
from rnas.search.algorithm import ALGORITHMS, SearchState
from rnas.search.config import SearchConfig
from rnas.search.relaxations import rival
from rnas.supernets.base import CellSupernet
from rnas.supernets.space import SearchSpace

__all__ = ["PCDarts", "PCDartsConfig", "edge_weights"]


@dataclass(frozen=True)
class PCDartsConfig:
    """Settings of the algorithm "pc_darts".

    Args:
        one_in: K, at least 1: one in K channels passes through the operations.
    """

    one_in: int = 4

    def __post_init__(self) -> None:
        """Check the range."""
        require(self.one_in >= 1, "one_in", "an integer >= 1", self.one_in)


@ALGORITHMS.register("pc_darts", settings=PCDartsConfig)
class PCDarts(AdversarialDarts):
    """Adversarial DARTS with partial channels and edge normalisation; it keeps beta, shape (kinds, edges)."""

    @classmethod
    def check(cls, config: SearchConfig, space: SearchSpace) -> None:  # noqa: ARG003
        fits = space.partial_channels and space.chooses
        require(fits, "space", "one with partial channels and named edges for pc_darts", space.name)

    def supernet(self, space: SearchSpace) -> Callable[..., CellSupernet]:
        return partial(space.path_supernet, one_in=self.own.one_in)

    def begin(self, state: SearchState, generator: torch.Generator) -> None:
        beta = 1e-3 * torch.randn(state.alpha.shape[:2], generator=generator)
        state.extra["beta"] = beta.to(state.alpha).requires_grad_()
        state.alpha_optimiser.add_param_group({"params": [state.extra["beta"]]})

    def architecture(self, state: SearchState) -> list[Tensor]:
        return [state.alpha, state.extra["beta"]]

    def weights(
        self,
        state: SearchState,
        architecture: Sequence[Tensor],
        generator: torch.Generator,  # noqa: ARG002
        *,
        smooth: bool = False,  # noqa: ARG002
    ) -> Tensor:
        alpha, beta = architecture
        return alpha.softmax(dim=-1) * edge_weights(beta, state.space.edges).unsqueeze(-1)

    def candidate(self, state: SearchState, index: int, at_most: int | None, generator: torch.Generator) -> Genotype:
        alpha, beta = (leaf.detach().double().cpu() for leaf in self.architecture(state))
        alpha = rival(alpha, generator) if index else alpha
        return state.space.choose(self.weights(state, [alpha, beta], generator), at_most)


def edge_weights(beta: Tensor, edges: Sequence[tuple[int, int]]) -> Tensor:
    """The softmax over the edges that lead to the same node (Eq. 3).

    Args:
        beta: shape (kinds, edges).
        edges: source and target of each.
    """
    targets = torch.tensor([target for _, target in edges], device=beta.device)
    other = targets.unsqueeze(1) != targets
    return (beta - beta.unsqueeze(1).masked_fill(other, -torch.inf).logsumexp(dim=-1)).exp()
