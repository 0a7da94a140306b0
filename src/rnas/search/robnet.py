"""RobNet: subnets sampled from an adversarially trained supernet, each fine-tuned; the most robust one is the answer.

1. A supernet is trained with PGD examples on one random subnet a batch (`rnas.search.subnets`).
2. Subnets are sampled, and those with a high FSP loss are left out. The flow of solution procedure of a cell is

       G(x) = (1 / (h w)) sum over positions of F_in(x) F_out(x)^T,    F_in and F_out the maps before and after the cell

   and its loss, between images x and their adversarial versions x~, with inherited weights,

       L_FSP = (1 / N) sum over x of |G(x) - G(x~)|_2^2.

3. Each of the others takes its weights from the supernet and is fine-tuned with PGD examples for some epochs.
4. The highest accuracy under attack wins.

References:
    Guo et al. 2020, "When NAS Meets Robustness: In Search of Robust Architectures against Adversarial Attacks"
    (https://arxiv.org/abs/1911.10695), Section 3; 1,000 samples.
    Yim et al. 2017, "A Gift from Knowledge Distillation" (CVPR): the FSP matrix, and max pooling where a cell shrinks
    its maps.

Deviations:
    The published code (gmh14/RobNets) trains and attacks networks that were found; supernet, fine-tuning and FSP loss
    are not in it. So these are ours: the length of the fine-tuning, a cosine to zero; the share that the filter keeps;
    and that the loss is the mean over the deeper half of the cells, in which the paper sees it go with robustness.
    Subnets are cells of the searched space, with one operation an edge and the same in all stages, where the paper has
    any set of operations on an edge, and in its largest space other edges in each cell.
    The paper derives rules for its networks from the samples; here the best sample is the answer.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rnas import parallel
from rnas.config import MOST_REPETITIONS, require
from rnas.data import Batches
from rnas.data.batches import in_batches
from rnas.genotype import Genotype
from rnas.hypergradients.registry import unchanged
from rnas.search.algorithm import ALGORITHMS, Batch, Preparation, SearchState
from rnas.search.measurements import Measurements
from rnas.search.random import DRAWS, random_genotype
from rnas.search.subnets import Subnets, attacked, robust_accuracy
from rnas.seeding import derive
from rnas.training.advice import advise_weights
from rnas.training.optimiser import WeightOptimiser

__all__ = ["RobNet", "RobNetConfig", "fsp_loss", "fsp_matrix"]


@dataclass(frozen=True)
class RobNetConfig:
    """Settings of the algorithm "robnet".

    Args:
        samples: how many distinct subnets to sample, at least 1.
        keep: share of them to fine-tune, those with the lowest FSP loss, in (0, 1]; with 1 no FSP loss is computed.
        epochs: epochs of a subnet's fine-tuning, at least 1.
    """

    samples: int = 1000
    keep: float = 0.5
    epochs: int = 1

    def __post_init__(self) -> None:
        """Check the ranges."""
        require(self.samples >= 1, "samples", "an integer >= 1", self.samples, at_most=MOST_REPETITIONS)
        require(0 < self.keep <= 1, "keep", "a number in (0, 1]", self.keep)
        require(self.epochs >= 1, "epochs", "an integer >= 1", self.epochs)


@ALGORITHMS.register("robnet", settings=RobNetConfig)
class RobNet(Subnets):
    """The candidates are the fine-tuned subnets, the most robust first."""

    def prepare(self, state: SearchState, search: Preparation) -> None:
        seed = derive(search.run.manifest["seed"], "robnet")
        kept = self.sampled(seed)
        if self.own.keep < 1:
            kept = self.filtered(kept, state, search)

        def tuned(genotype: Genotype, number: int) -> float:
            return self.tuned_accuracy(state, genotype, search, derive(seed, "fine-tuning", number))

        self.rewards = Measurements("rewards", tuned, state, search.run, total=len(kept), every=1)
        for genotype in kept:
            self.rewards(genotype)

    def sampled(self, seed: int) -> list[Genotype]:
        """Distinct random subnets; fewer than asked for where there are no more."""
        found: dict[Genotype, None] = {}
        for index in range(DRAWS * self.own.samples):
            generator = torch.Generator().manual_seed(derive(seed, "subnet", index))
            found[random_genotype(self.space, self.at_most, generator)] = None
            if len(found) == self.own.samples:
                break
        return list(found)

    def filtered(self, genotypes: Sequence[Genotype], state: SearchState, search: Preparation) -> list[Genotype]:
        """The share of subnets with the lowest FSP loss, in their order."""

        def flow(genotype: Genotype, _: int) -> float:
            return self.inherited_flow(state, genotype, search.sample)

        every = search.checkpoint_every
        measurements = Measurements("fsp", flow, state, search.run, total=len(genotypes), every=every)
        losses = [measurements(genotype) for genotype in genotypes]
        count = math.ceil(self.own.keep * len(genotypes))
        return [genotypes[index] for index in sorted(sorted(range(len(losses)), key=losses.__getitem__)[:count])]

    def inherited_flow(self, state: SearchState, genotype: Genotype, sample: Batch) -> float:
        """The FSP loss of a subnet on the sample, with the weights that it shares: the mean over the deeper cells."""
        network = state.network(self.space.path(genotype).to(state.alpha.device)).train()
        cells = list(state.supernet.cells)
        noise = sample.noise()
        total = 0.0
        with unchanged(list(state.supernet.buffers())):
            for rows, share in in_batches(len(sample.labels), self.config.batch_size):
                batch = Batch(sample.images[rows], sample.labels[rows], noise)
                adversarial = attacked(network, batch, self.config.attack)
                total += share * float(fsp_loss(network, cells[len(cells) // 2 :], batch.images, adversarial))
        return total

    def tuned_accuracy(self, state: SearchState, genotype: Genotype, search: Preparation, seed: int) -> float:
        """The robust accuracy of a subnet on the sample after its fine-tuning, which leaves the supernet as it is."""
        data, augmentation = search.data, search.augmentation
        batches = Batches(
            data.train,
            self.config.batch_size,
            seed=derive(seed, "batches"),
            padding=augmentation.padding_for(data.size[0]),
            flip=augmentation.flip_for(data.flip),
        )
        steps = self.own.epochs * len(batches)
        supernet = copy.deepcopy(state.supernet)
        tuned = replace(state, supernet=supernet, theta_optimiser=WeightOptimiser(supernet, self.config, steps))
        path = self.space.path(genotype).to(state.alpha.device)
        for step in range(steps):
            with search.run.step(step, partial(advise_weights, self.config)), parallel.part_of(batches.batch_size):
                images, labels = map(parallel.own, batches.at(step))
                noise = parallel.generator(images.device, derive(seed, step))
                self.step_on(tuned, path, Batch(images, labels, noise))
        accuracy = robust_accuracy(tuned.network(path).eval(), search.sample, self.config)
        state.passes = tuned.passes
        return accuracy

    def candidate(self, state: SearchState, index: int, at_most: int | None, generator: torch.Generator) -> Genotype:  # noqa: ARG002
        ranked = self.rewards.ranked()
        return ranked[index % len(ranked)]


def fsp_loss(network: nn.Module, cells: Iterable[nn.Module], images: Tensor, adversarial: Tensor) -> Tensor:
    """The FSP loss, the mean over cells and images: a scalar tensor without a gradient.

    Args:
        network: in the mode in which its maps are to be compared.
        cells: modules of it, which take their maps as positional arguments, the latest last, and return maps.
        images: shape (N, C, H, W).
        adversarial: their adversarial versions.
    """
    pairs = zip(*(fsp_matrices(network, cells, shown) for shown in (images, adversarial)), strict=True)
    return torch.stack([(before - after).square().sum(dim=(1, 2)).mean() for before, after in pairs]).mean()


def fsp_matrices(network: nn.Module, cells: Iterable[nn.Module], images: Tensor) -> list[Tensor]:
    """The FSP matrices of some cells, each of shape (N, C_in, C_out)."""
    found: list[Tensor] = []

    def keep(_: nn.Module, given: tuple[object, ...], output: Tensor) -> None:
        maps = [one for one in given if isinstance(one, Tensor) and one.dim() == 4]
        found.append(fsp_matrix(maps[-1], output))

    hooks = [cell.register_forward_hook(keep) for cell in cells]
    try:
        with torch.no_grad():
            network(images)
    finally:
        for hook in hooks:
            hook.remove()
    return found


def fsp_matrix(before: Tensor, after: Tensor) -> Tensor:
    """G: how the channels before a cell go with those after it.

    Args:
        before: shape (N, C_in, H, W).
        after: shape (N, C_out, h, w), not larger.

    Returns:
        Shape (N, C_in, C_out).
    """
    height, width = after.shape[2:]
    if before.shape[2:] != after.shape[2:]:
        before = F.adaptive_max_pool2d(before, (height, width))
    return torch.einsum("nchw,ndhw->ncd", before, after) / (height * width)
