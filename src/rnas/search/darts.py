"""DARTS: clean losses on both levels, no bound. The first of the baselines, and the steps that the others share.

    min over alpha of L_val(theta*, alpha)  subject to  theta* = argmin over theta of L_train(theta, alpha)

References:
    Liu et al. 2019, "DARTS: Differentiable Architecture Search" (https://arxiv.org/abs/1806.09055), Eq. 3 and 4.

Deviations:
    First order. Theta is warmed up first, as in the other algorithms of the loop.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from rnas.errors import DivergenceError
from rnas.search.algorithm import ALGORITHMS, Batch, SearchState, SupernetAlgorithm
from rnas.search.constraint import Vulnerability

__all__ = ["Darts"]


@ALGORITHMS.register("darts")
class Darts(SupernetAlgorithm):
    """Gradient steps on theta and alpha in turn."""

    def theta_step(self, state: SearchState, batch: Batch) -> dict[str, float]:
        """Descend with the gradient of the training loss in theta."""
        weights = self.relaxation.weights(state.alpha.detach(), batch.generator)
        images = self.training_images(state, weights, batch)
        logits = state.network(weights).train()(images)
        value = state.theta_optimiser.step(F.cross_entropy(logits, batch.labels))
        return {"loss": value, "accuracy": accuracy(logits, batch.labels)}

    def alpha_step(self, state: SearchState, batch: Batch) -> dict[str, float]:
        """Descend with the gradient of the validation objective in alpha."""
        weights = self.relaxation.weights(state.alpha, batch.generator)
        losses = self.validation_losses(state, weights, batch)
        loss = sum(losses.values(), torch.zeros((), device=weights.device))
        (gradient,) = torch.autograd.grad(loss, state.alpha)
        if not bool(gradient.isfinite().all()):
            raise DivergenceError(f"the gradient of alpha is not finite (validation loss {float(loss.detach())})")
        state.alpha.grad = gradient
        state.alpha_optimiser.step()
        return {"loss": float(loss.detach())} | {name: float(value.detach()) for name, value in losses.items()}

    def training_images(self, state: SearchState, weights: Tensor, batch: Batch) -> Tensor:  # noqa: ARG002
        """The images of the training loss, shape (N, C, H, W)."""
        return batch.images

    def validation_losses(self, state: SearchState, weights: Tensor, batch: Batch) -> dict[str, Tensor]:
        """The terms of the validation objective, scalars that depend on alpha through the weights."""
        logits = state.network(weights).train()(batch.images)
        return {"clean_loss": F.cross_entropy(logits, batch.labels)}

    def vulnerability(self, state: SearchState) -> float:
        return self.constraint(state).value(state.alpha)

    def constraint(self, state: SearchState) -> Vulnerability:
        """F as a function of alpha at the present weights."""
        return Vulnerability(state, self.sample, self.config, self.relaxation)


def accuracy(logits: Tensor, labels: Tensor) -> float:
    """The share of images whose largest logit is their label's."""
    return float((logits.detach().argmax(dim=1) == labels).float().mean())
