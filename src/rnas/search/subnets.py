"""A supernet whose weights are trained on random subnets: on one a batch, all equally likely, with PGD examples.

    min over theta of E_(x, y) E_s max over |x' - x|_inf <= eps of L(x', y; theta, s)

It is what one-shot searches ask for the accuracy of a subnet with weights that it shares with all others.

References:
    Guo et al. 2020, "When NAS Meets Robustness" (https://arxiv.org/abs/1911.10695), Section 3: under PGD.
    Bender et al. 2018, "Understanding and Simplifying One-Shot Architecture Search"
    (http://proceedings.mlr.press/v80/bender18a.html): batch norm by the statistics of the batch.
    Guo et al. 2020, "Single Path One-Shot" (https://arxiv.org/abs/1904.00420), Section 3.2: uniform paths.

Deviations:
    A subnet is a cell of the space within the size limit, so it has one operation an edge. While subnets are trained,
    attacked or measured with shared weights, batch norm takes the statistics of the batch: running ones are those of
    all subnets together. F, which the loop logs, is the mean over subnets drawn with fixed noise, in evaluation mode.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rnas.attacks import pgd_linf
from rnas.config import PgdConfig, require
from rnas.data.batches import in_batches
from rnas.genotype import Genotype
from rnas.hypergradients.registry import unchanged
from rnas.search.algorithm import Batch, SearchState, SupernetAlgorithm
from rnas.search.config import SearchConfig
from rnas.search.constraint import Vulnerability
from rnas.search.darts import accuracy
from rnas.search.random import random_genotype
from rnas.search.relaxations import SAMPLED_PATHS
from rnas.supernets.space import SPACES, SearchSpace

__all__ = ["Subnets", "attacked", "robust_accuracy"]


class Subnets(SupernetAlgorithm):
    """Trains the supernet; alpha has no part in it."""

    relaxation = SAMPLED_PATHS
    trains_alpha = False

    @classmethod
    def check(cls, config: SearchConfig, space: SearchSpace) -> None:
        expected = f"one that names its edges, for {config.algorithm} looks for subnets"
        require(bool(space.edges), "space", expected, space.name)

    def __init__(self, config: SearchConfig, sample: Batch) -> None:
        super().__init__(config, sample)
        self.space = SPACES[config.space]
        self.at_most = self.space.at_most(config.size_limit)

    def random_path(self, generator: torch.Generator) -> Tensor:
        """The weights of the operations of a random subnet, shape as alpha's, on the generator's device."""
        return self.space.path(random_genotype(self.space, self.at_most, generator)).to(generator.device)

    def theta_step(self, state: SearchState, batch: Batch) -> dict[str, float]:
        """A step on the weights of a random subnet."""
        return self.step_on(state, self.random_path(batch.generator), batch)

    def step_on(self, state: SearchState, path: Tensor, batch: Batch) -> dict[str, float]:
        """A step of adversarial training on the weights of one subnet."""
        network = state.network(path).train()
        logits = network(attacked(network, batch, self.config.attack))
        value = state.theta_optimiser.step(F.cross_entropy(logits, batch.labels))
        return {"loss": value, "accuracy": accuracy(logits, batch.labels)}

    def alpha_step(self, state: SearchState, batch: Batch, training: Batch) -> dict[str, float]:  # noqa: ARG002
        return {}

    def vulnerability(self, state: SearchState) -> float:
        return Vulnerability(state, self.sample, self.config, lambda _, noise: self.random_path(noise)).value(
            state.alpha
        )

    def inherited_accuracy(self, state: SearchState, genotype: Genotype, sample: Batch) -> float:
        """The robust accuracy of a subnet on the sample, in [0, 1], with the weights that it shares."""
        network = state.network(self.space.path(genotype).to(state.alpha.device)).train()
        with unchanged(list(state.supernet.buffers())):
            return robust_accuracy(network, sample, self.config)


def attacked(network: nn.Module, batch: Batch, attack: PgdConfig) -> Tensor:
    """PGD examples against a network in the mode in which it is, shape (N, C, H, W)."""

    def forward(images: Tensor) -> Tensor:
        return network(images)  # not the module itself, which an attack would put in evaluation mode

    return pgd_linf(forward, batch.images, batch.labels, **vars(attack), generator=batch.generator)


def robust_accuracy(network: nn.Module, sample: Batch, config: SearchConfig) -> float:
    """The share of the sample's images that a network, in the mode in which it is, classifies right under attack."""
    noise = sample.noise()
    total = 0.0
    for rows, share in in_batches(len(sample.labels), config.batch_size):
        batch = Batch(sample.images[rows], sample.labels[rows], noise)
        adversarial = attacked(network, batch, config.attack)
        with torch.no_grad():
            total += share * accuracy(network(adversarial), batch.labels)
    return total
