"""Robust Network Architecture Search (RNAS), the paper's Algorithm 1.

    min over alpha of L_val(theta*, alpha) + L_val^adv(theta*, alpha)                                   (Eq. 8)
    subject to theta* = argmin over theta of L_train^adv(theta, alpha)  and  F(alpha) <= H

Phase I warms theta up at a fixed alpha. Each epoch of Phase II alternates u steps on theta and on alpha (Step 1), then
holds theta and projects alpha onto {F <= H} (Step 2, Eq. 9). The loop in `rnas.search.loop` calls the steps below in
that order.

References:
    "RNAS: Robust Network Architecture Search beyond DARTS", Section 4.2 and Algorithm 1.

Deviations, where the paper is silent:
    F is defined on a fixed sample of validation images whose adversarial versions are made anew, from the same noise,
    for every alpha: one deterministic problem. Networks are in evaluation mode inside attacks and F.
    Iterations u + 1 to T are one projection of at most T - u iterations, which stops when it has converged.
    H may be relative to F at the end of the warm-up.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn import functional as F

from rnas.attacks import pgd_linf
from rnas.attacks.guards import evaluation_mode
from rnas.config import PgdConfig
from rnas.errors import DivergenceError
from rnas.search.algorithm import ALGORITHMS, Batch, SearchState
from rnas.search.config import SearchConfig, parse_bound
from rnas.search.projection import project
from rnas.supernets.derive import mean_none_weight
from rnas.vulnerability import network_vulnerability

__all__ = ["RNAS", "Vulnerability"]


@ALGORITHMS.register("rnas")
class RNAS:
    """The steps of Algorithm 1.

    Args:
        config: settings of the search.
        sample: the validation images on which F is defined.
    """

    def __init__(self, config: SearchConfig, sample: Batch) -> None:
        self.config = config
        self.sample = sample

    def theta_step(self, state: SearchState, batch: Batch) -> dict[str, float]:
        """Algorithm 1, lines 3 and 4: descend with the gradient of L_train^adv(theta, alpha) in theta."""
        network = state.network(state.alpha.detach()).train()
        logits = network(adversarial_images(state, state.alpha, batch, self.config.attack))
        loss = F.cross_entropy(logits, batch.labels)
        value = state.theta_optimiser.step(loss)
        return {"loss": value, "accuracy": accuracy(logits, batch.labels)}

    def alpha_step(self, state: SearchState, batch: Batch) -> dict[str, float]:
        """Algorithm 1, line 5, first order: descend with the gradient of the validation objective in alpha."""
        network = state.network(state.alpha).train()
        logits = network(adversarial_images(state, state.alpha, batch, self.config.attack))
        adversarial_loss = F.cross_entropy(logits, batch.labels)
        clean_loss = F.cross_entropy(network(batch.images), batch.labels)
        loss = clean_loss + adversarial_loss  # Equation 8, the objective
        (gradient,) = torch.autograd.grad(loss, state.alpha)
        if not bool(gradient.isfinite().all()):
            raise DivergenceError(f"the gradient of alpha is not finite (validation loss {float(loss.detach())})")
        state.alpha.grad = gradient
        state.alpha_optimiser.step()
        return {
            "loss": float(loss.detach()),
            "clean_loss": float(clean_loss.detach()),
            "adversarial_loss": float(adversarial_loss.detach()),
            "accuracy": accuracy(logits, batch.labels),
        }

    def end_warmup(self, state: SearchState) -> None:
        """Fix H, where it is relative to F of the warmed-up supernet."""
        value, relative = parse_bound(self.config.constraint.bound)
        state.bound = value * self.vulnerability(state) if relative else value

    def constrain(self, state: SearchState, iterations: int) -> dict[str, float]:
        """Algorithm 1, lines 8 to 11: the projection of Eq. 9."""
        assert state.bound is not None, "end_warmup fixes the bound"
        settings = self.config.constraint
        before = state.alpha.detach().clone()
        found = project(
            before,
            self.constraint(state),
            state.bound,
            solver=settings.solver,
            max_iterations=iterations,
            tolerance=settings.tolerance,
        )
        state.set_alpha(found.alpha)
        return {
            "before": found.start_value,
            "after": found.value,
            "bound": found.bound,
            "ratio": found.ratio,
            "multiplier": found.multiplier,
            "kkt_residual": found.kkt_residual,
            "distance": found.distance,
            "iterations": found.iterations,
            "feasible": found.feasible,
            "none_before": mean_none_weight(before),
            "none_after": mean_none_weight(found.alpha),
        }

    def vulnerability(self, state: SearchState) -> float:
        """F(alpha) at the present weights."""
        return self.constraint(state).value(state.alpha)

    def constraint(self, state: SearchState) -> Vulnerability:
        return Vulnerability(state, self.sample, self.config)


class Vulnerability:
    """F as a function of alpha at fixed weights (Eq. 6), on a fixed sample.

    Args:
        state: holds the supernet, which is used in evaluation mode and left as it was.
        sample: images (N, C, H, W), labels (N,), and a generator whose present state gives the attacks' random starts.
        config: attack, metric and batch size.
    """

    def __init__(self, state: SearchState, sample: Batch, config: SearchConfig) -> None:
        self.state = state
        self.sample = sample
        self.config = config
        self.noise = sample.generator.get_state()

    def __call__(self, alpha: Tensor) -> Tensor:
        """F(alpha), a scalar tensor, differentiable in alpha with the adversarial images held constant."""
        value = 0.0
        gradient = torch.zeros_like(alpha)
        for share, batch_value in self.batches(alpha):
            if alpha.requires_grad:
                gradient += share * torch.autograd.grad(batch_value, alpha)[0]
            value += share * float(batch_value.detach())
        # Value and gradient are exact; the graphs of the batches, large ones, are gone by now.
        return value + (gradient * (alpha - alpha.detach())).sum()

    def value(self, alpha: Tensor) -> float:
        """F(alpha) without its gradient."""
        with torch.no_grad():
            return sum(share * float(batch_value) for share, batch_value in self.batches(alpha.detach()))

    def batches(self, alpha: Tensor) -> Iterator[tuple[float, Tensor]]:
        """The vulnerability of each batch of the sample, with the batch's share of the images."""
        network = self.state.network(alpha)
        images, labels, _ = self.sample
        generator = torch.Generator(images.device)
        generator.set_state(self.noise)
        with evaluation_mode(network):
            for start in range(0, len(images), self.config.batch_size):
                clean = images[start : start + self.config.batch_size]
                target = labels[start : start + self.config.batch_size]
                adversarial = adversarial_images(self.state, alpha, Batch(clean, target, generator), self.config.attack)
                yield (
                    len(clean) / len(images),
                    network_vulnerability(
                        network, network.cell_layers, clean, adversarial, metric=self.config.constraint.metric
                    ),
                )


def adversarial_images(state: SearchState, alpha: Tensor, batch: Batch, attack: PgdConfig) -> Tensor:
    """PGD examples against the supernet at an alpha, in evaluation mode, shape (N, C, H, W)."""
    return pgd_linf(
        state.folded(alpha),
        batch.images,
        batch.labels,
        eps=attack.eps,
        step_size=attack.step_size,
        steps=attack.steps,
        generator=batch.generator,
    )


def accuracy(logits: Tensor, labels: Tensor) -> float:
    """The share of images whose largest logit is their label's."""
    return float((logits.detach().argmax(dim=1) == labels).float().mean())
