"""P-DARTS: the search space shrinks in three stages, and skip connections are held back.

The epochs after the warm-up make three stages. At the end of the first each edge keeps 5/8 of its operations, at the
end of the second 3/8, those of the greatest softmax(alpha) (8, then 5, then 3 in the space of DARTS); alpha starts
afresh. A later stage trains the weights alone for a while, as the warm-up does, then alpha too.

What a skip connection passes on is subject to dropout with a rate of its own in each stage, which falls as the stage
goes on: linearly while the weights are trained alone, exponentially then. And of the cells of the first kind, the
normal ones, at most `skips` edges of the answer are skip connections: the weakest give way, one after another.

References:
    Chen et al. 2019, "Progressive Differentiable Architecture Search" (https://arxiv.org/abs/1904.12760), Section 3.

Deviations:
    The depth does not grow: the paper's stages have 5, 11 and 17 cells and begin with fresh weights; the loop has one
    supernet, whose weights and learning rate go on. That is half of the paper's idea.
    Losses are those of Eq. 8 of RNAS; the paper's are clean.
    As in the published code (chenxin061/pdarts), only skip connections that keep the size have dropout, and its rate is
    e^-3 of the stage's at the end. A step has one mask for all of its passes.
    Under a size limit an operation stays where no network within the limit would be left without it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from rnas.attacks.noise import draw
from rnas.config import require
from rnas.genotype import Genotype
from rnas.search.adversarial_darts import AdversarialDarts
from rnas.search.algorithm import ALGORITHMS, Batch, SearchState
from rnas.search.config import SearchConfig
from rnas.search.relaxations import rival
from rnas.supernets.base import MixedOperation
from rnas.supernets.space import SearchSpace

__all__ = ["PDarts", "PDartsConfig"]

#: The part of its operations that an edge has in each stage.
SHARES = (1, 5 / 8, 3 / 8)
#: The part of a later stage that trains the weights alone: 10 of 25 epochs.
ALONE = 0.4
#: How far the dropout falls while alpha is trained, as a power of e.
FALL = 3.0
SKIP = "skip_connect"


@dataclass(frozen=True)
class PDartsConfig:
    """Settings of the algorithm "p_darts".

    Args:
        dropout: rates of the dropout on skip connections at the start of the three stages, each in [0, 1).
        skips: most skip connections of a normal cell, >= 0.
    """

    dropout: tuple[float, float, float] = (0.0, 0.4, 0.7)
    skips: int = 2

    def __post_init__(self) -> None:
        """Check the ranges."""
        fits = len(self.dropout) == len(SHARES) and all(0 <= rate < 1 for rate in self.dropout)
        require(fits, "dropout", "three numbers in [0, 1)", list(self.dropout))
        require(self.skips >= 0, "skips", "an integer >= 0", self.skips)


@ALGORITHMS.register("p_darts", settings=PDartsConfig)
class PDarts(AdversarialDarts):
    """Adversarial DARTS in three stages. It keeps which operations are left (1 or 0), and the alpha to start from."""

    needs_modules = True

    @classmethod
    def check(cls, config: SearchConfig, space: SearchSpace) -> None:  # noqa: ARG003
        fits = SKIP in space.operations and space.chooses
        require(fits, "space", f"one with {SKIP} and named edges for p_darts", space.name)

    def begin(self, state: SearchState, generator: torch.Generator) -> None:  # noqa: ARG002
        self.at_most = state.space.at_most(self.config.size_limit)
        alpha = state.alpha.detach()
        state.extra |= {"left": torch.ones_like(alpha), "start": alpha.clone()}
        self.rate, self.masks = 0.0, dict[tuple[nn.Module, torch.Size], Tensor]()
        for module in state.supernet.modules():
            if isinstance(module, MixedOperation):
                skip = module.operations[module.names.index(SKIP)]
                if isinstance(skip, nn.Identity):
                    skip.register_forward_hook(self.drop)

    def weights(
        self, state: SearchState, architecture: Sequence[Tensor], generator: torch.Generator, *, smooth: bool = False
    ) -> Tensor:
        """The softmax over the operations that are left."""
        gone = (state.extra["left"] == 0).to(architecture[0].device)
        return super().weights(state, [architecture[0].masked_fill(gone, -torch.inf)], generator, smooth=smooth)

    def theta_step(self, state: SearchState, batch: Batch) -> dict[str, float]:
        self.start_step(state, batch)
        return super().theta_step(state, batch) | {"skip_dropout": self.rate}

    def alpha_step(self, state: SearchState, batch: Batch, training: Batch) -> dict[str, float]:
        _, start, alone, _ = self.stage(state.epoch)
        if state.epoch - start < alone:
            return {}
        self.start_step(state, batch)
        return super().alpha_step(state, batch, training)

    def stage(self, epoch: int) -> tuple[int, int, int, int]:
        """The stage of an epoch, from 0, its first epoch, how many train the weights alone, and how many there are."""
        warm, count = self.config.warmup_epochs, len(SHARES)
        ends = [warm + math.ceil((self.config.epochs - warm) * number / count) for number in range(1, count + 1)]
        stage = min(count - 1, sum(end <= epoch for end in ends))
        if stage == 0:
            return 0, 0, warm, ends[0]
        length = ends[stage] - ends[stage - 1]
        return stage, ends[stage - 1], int(ALONE * length), length

    def start_step(self, state: SearchState, batch: Batch) -> None:
        """Set the rate of the dropout, and the source of its masks."""
        stage, start, alone, length = self.stage(state.epoch)
        done = state.epoch - start
        left = 1 - (done + 1) / length if done < alone else math.exp(-FALL * (done - alone) / (length - alone))
        self.rate, self.noise = left * self.own.dropout[stage], batch.generator
        self.masks.clear()

    def drop(self, module: nn.Module, _: object, maps: Tensor) -> Tensor:
        """A forward hook of skip connections: dropout with one mask a step."""
        if not (module.training and self.rate):
            return maps
        key = module, maps.shape
        if key not in self.masks:
            noise = draw(torch.rand, maps.shape, self.noise, device=maps.device, dtype=maps.dtype)
            self.masks[key] = (noise >= self.rate) / (1 - self.rate)
        return maps * self.masks[key]

    def end_epoch(self, state: SearchState) -> dict[str, Any]:
        """At the end of a stage, drop operations, and start alpha afresh."""
        left, (now, then) = state.extra["left"], (self.stage(state.epoch + more)[0] for more in (0, 1))
        if now == then:
            return {}
        keep = max(1, round(SHARES[then] * left.shape[2]))
        weights = self.weights(state, [state.alpha.detach()], self.sample.generator)
        for kind, edge in torch.cartesian_prod(*map(torch.arange, left.shape[:2])).tolist():
            for operation in weights[kind, edge].argsort().tolist():
                if int(left[kind, edge].sum()) > keep and bool(left[kind, edge, operation]):
                    without = left.clone()
                    without[kind, edge, operation] = 0
                    if state.space.has_network(without, self.at_most):
                        left[kind, edge, operation] = 0
        if state.epoch + 1 < self.config.epochs:
            state.set_alpha(state.extra["start"])
            state.alpha_optimiser.state.clear()
        return {"left": left.tolist()}

    def candidate(self, state: SearchState, index: int, at_most: int | None, generator: torch.Generator) -> Genotype:
        alpha = state.alpha.detach().double().cpu()
        weights = self.weights(state, [rival(alpha, generator) if index else alpha], generator)
        return few_skips(state.space, weights, at_most, self.own.skips)


def few_skips(space: SearchSpace, weights: Tensor, at_most: int | None, most: int) -> Genotype:
    """The genotype of the greatest weights with at most so many skip connections in the cells of the first kind.

    The weakest give way to what is strongest without them, as long as a network is left.

    Args:
        space: where.
        weights: of the operations, on the CPU.
        at_most: parameters, or None.
        most: skip connections.
    """
    weights, skip = weights.clone(), space.operations.index(SKIP)
    kept: set[int] = set()
    while True:
        genotype = space.choose(weights, at_most)
        cell = genotype[space.kinds[0]]
        skips = {
            space.edges.index((edge.source, cell.inputs + node))
            for node, edges in enumerate(cell.nodes)
            for edge in edges
            if edge.op == SKIP
        }
        if len(skips) <= most or not skips - kept:
            return genotype
        weakest = min(skips - kept, key=lambda edge: float(weights[0, edge, skip]))
        without = weights.clone()
        without[0, weakest, skip] = 0
        if space.has_network(without, at_most):
            weights = without
        else:
            kept.add(weakest)
