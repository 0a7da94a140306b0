"""F as a function of alpha, at fixed weights of the supernet and on a fixed sample: what the bound H is put on."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from rnas.attacks import pgd_linf
from rnas.attacks.guards import evaluation_mode
from rnas.config import PgdConfig
from rnas.data.batches import in_batches
from rnas.search.algorithm import Batch, SearchState
from rnas.search.config import SearchConfig
from rnas.vulnerability.metrics import network_vulnerability

__all__ = ["Vulnerability", "adversarial_images"]


class Vulnerability:
    """F(alpha) (Eq. 6).

    Adversarial versions of the images are made anew, from the same noise, for every alpha. Where paths are sampled, the
    weights are relaxed samples with the same noise for every alpha: a smooth function of it.

    Args:
        state: holds the supernet, which is used in evaluation mode and left as it was.
        sample: images (N, C, H, W), labels (N,), and a generator whose present state decides all randomness.
        config: attack, metric and batch size.
        weights: (alpha, generator) to the weights of the operations, smooth in alpha.
    """

    def __init__(
        self,
        state: SearchState,
        sample: Batch,
        config: SearchConfig,
        weights: Callable[[Tensor, torch.Generator], Tensor],
    ) -> None:
        self.state = state
        self.sample = sample
        self.config = config
        self.weights = weights
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
        images, labels, _ = self.sample
        generator = torch.Generator(images.device)
        generator.set_state(self.noise)
        for rows, share in in_batches(len(images), self.config.batch_size):
            batch = Batch(images[rows], labels[rows], generator)
            weights = self.weights(alpha, generator)
            network = self.state.network(weights)
            with evaluation_mode(network):
                adversarial = adversarial_images(self.state, weights, batch, self.config.attack)
                yield (
                    share,
                    network_vulnerability(
                        network, network.cell_layers, batch.images, adversarial, metric=self.config.constraint.metric
                    ),
                )


def adversarial_images(state: SearchState, weights: Tensor, batch: Batch, attack: PgdConfig) -> Tensor:
    """PGD examples against the supernet at given weights of its operations, in evaluation mode, shape (N, C, H, W)."""
    return pgd_linf(state.folded(weights), batch.images, batch.labels, **vars(attack), generator=batch.generator)
