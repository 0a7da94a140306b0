"""SNAS: one level, and operations weighed by relaxed samples that become discrete as they cool down.

    min over theta and alpha of E_Z L_train^adv(theta, Z),   Z_o = softmax over o of ((alpha_o + G_o) / T)

G is Gumbel noise (the concrete distribution), drawn anew at each step. Theta and alpha descend with the gradient of the
same loss on the same images: there is no validation loss and no second level. T falls linearly over the epochs, from
`temperature` to `last_temperature`, where a sample is nearly one path.

References:
    Xie et al. 2019, "SNAS: Stochastic Neural Architecture Search" (https://arxiv.org/abs/1812.09926), Section 2.

Deviations:
    The loss is adversarial, as that of the weights in Eq. 8 of RNAS; the paper's is clean. A step uses the half of the
    images that trains theta; the paper's uses all.
    Temperatures and their course are those of the published code (SNAS-Series/SNAS-Series, Analysis/snas), with its
    switch for annealing on, as the paper has it.
    Without the paper's penalty on resources; ``search.size_limit`` bounds the size. The genotype is derived as DARTS
    does it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from rnas import parallel
from rnas.config import require
from rnas.search.adversarial_darts import AdversarialDarts
from rnas.search.algorithm import ALGORITHMS, Batch, SearchState
from rnas.search.darts import accuracy
from rnas.search.relaxations import relaxed_sample

__all__ = ["Snas", "SnasConfig"]


@dataclass(frozen=True)
class SnasConfig:
    """Settings of the algorithm "snas".

    Args:
        temperature: T in the first epoch, > 0.
        last_temperature: T at the end of the search, > 0.
    """

    temperature: float = 1.0
    last_temperature: float = 0.03

    def __post_init__(self) -> None:
        """Check the ranges."""
        require(self.temperature > 0, "temperature", "a number > 0", self.temperature)
        require(self.last_temperature > 0, "last_temperature", "a number > 0", self.last_temperature)


@ALGORITHMS.register("snas", settings=SnasConfig)
class Snas(AdversarialDarts):
    """Adversarial training of weights and alpha together, on relaxed samples."""

    def temperature(self, epoch: int) -> float:
        """T in an epoch."""
        first, last = self.own.temperature, self.own.last_temperature
        return float(last + (1 - epoch / self.config.epochs) * (first - last))

    def weights(
        self,
        state: SearchState,
        architecture: Sequence[Tensor],
        generator: torch.Generator,
        *,
        smooth: bool = False,  # noqa: ARG002
    ) -> Tensor:
        return relaxed_sample(architecture[0], generator, self.temperature(state.epoch))

    def theta_step(self, state: SearchState, batch: Batch) -> dict[str, float]:
        """Descend with the gradient of the training loss, after the warm-up in alpha too."""
        if state.epoch < self.config.warmup_epochs:
            return super().theta_step(state, batch)
        weights = self.weights(state, [state.alpha], batch.generator)
        images = self.training_images(state, weights.detach(), batch)
        logits = state.network(weights).train()(images)
        state.alpha_optimiser.zero_grad()
        # Its backward pass reaches alpha as well.
        value = state.theta_optimiser.step(F.cross_entropy(logits, batch.labels))
        assert state.alpha.grad is not None, "every operation but none has a gradient"
        (gradient,) = parallel.summed([state.alpha.grad])
        self.descend(state, gradient.flatten(), {"loss": value})
        return {"loss": value, "accuracy": accuracy(logits, batch.labels), "temperature": self.temperature(state.epoch)}

    def alpha_step(self, state: SearchState, batch: Batch, training: Batch) -> dict[str, float]:  # noqa: ARG002
        """Nothing: alpha has been trained with theta."""
        return {}
