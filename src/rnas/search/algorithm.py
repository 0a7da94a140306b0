"""What a search algorithm is: steps on a shared state. The loop decides when each is called."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor

from rnas.registry import Registry
from rnas.search.config import SearchConfig
from rnas.supernets.fused import FoldedSupernet, FusedSupernet
from rnas.supernets.reference import SupernetAt
from rnas.training.optimiser import WeightOptimiser

__all__ = ["ALGORITHMS", "Algorithm", "Batch", "SearchState"]

#: Moments of Adam on alpha, as in DARTS; the paper gives the rate and the decay only.
ALPHA_BETAS = (0.5, 0.999)


class Batch(NamedTuple):
    """Images in [0, 1], shape (N, C, H, W), their labels (N,), and the step's source of randomness."""

    images: Tensor
    labels: Tensor
    generator: torch.Generator


@dataclass
class SearchState:
    """All that a search changes, and what a checkpoint keeps.

    Args:
        supernet: its weights are theta.
        alpha: architecture parameters, a leaf tensor of shape (kinds, edges, operations).
        theta_optimiser: SGD on theta.
        alpha_optimiser: Adam on alpha.
        bound: H as a number; None until a relative bound is fixed at the end of the warm-up.
        epoch: the epoch to go on with.
        iteration: the iteration in it.
        passes: forward passes through the supernet so far.
    """

    supernet: FusedSupernet
    alpha: Tensor
    theta_optimiser: WeightOptimiser
    alpha_optimiser: torch.optim.Adam
    bound: float | None = None
    epoch: int = 0
    iteration: int = 0
    passes: int = 0

    def __post_init__(self) -> None:
        """Count the passes."""
        self.supernet.register_forward_hook(self.count_pass)

    def network(self, alpha: Tensor) -> SupernetAt:
        """The supernet at an alpha."""
        return SupernetAt(self.supernet, alpha)

    def folded(self, alpha: Tensor) -> FoldedSupernet:
        """The supernet at an alpha in evaluation mode, prepared for the many passes of an attack."""
        view = self.supernet.folded(alpha)
        view.register_forward_hook(self.count_pass)
        return view

    def count_pass(self, *_: object) -> None:
        """A forward hook."""
        self.passes += 1

    def save(self) -> dict[str, Any]:
        """The content of a checkpoint."""
        return {
            "supernet": self.supernet.state_dict(),
            "alpha": self.alpha.detach(),
            "theta_optimiser": self.theta_optimiser.state(),
            "alpha_optimiser": self.alpha_optimiser.state_dict(),
            "bound": self.bound,
            "epoch": self.epoch,
            "iteration": self.iteration,
            "passes": self.passes,
        }

    def restore(self, saved: dict[str, Any]) -> None:
        """Go on from `save`."""
        self.supernet.load_state_dict(saved["supernet"])
        self.set_alpha(saved["alpha"])
        self.theta_optimiser.restore(saved["theta_optimiser"])
        self.alpha_optimiser.load_state_dict(saved["alpha_optimiser"])
        self.bound, self.passes = saved["bound"], saved["passes"]
        self.epoch, self.iteration = saved["epoch"], saved["iteration"]

    def set_alpha(self, value: Tensor) -> None:
        """Overwrite alpha in place, so that its optimiser keeps its moments."""
        with torch.no_grad():
            self.alpha.copy_(value)


class Algorithm(Protocol):
    """A search algorithm. Register a class of this form in `ALGORITHMS` to make it available by name.

    The loop makes it with the configuration and a fixed sample of validation images, and logs what its steps return:
    plain numbers by name.
    """

    def __init__(self, config: SearchConfig, sample: Batch) -> None: ...

    def theta_step(self, state: SearchState, batch: Batch) -> dict[str, float]:
        """One step on the weights, with a batch of the theta half."""

    def alpha_step(self, state: SearchState, batch: Batch) -> dict[str, float]:
        """One step on alpha, with a batch of the alpha half."""

    def end_warmup(self, state: SearchState) -> None:
        """Fix whatever depends on the warmed-up supernet."""

    def constrain(self, state: SearchState, iterations: int) -> dict[str, Any]:
        """Bring alpha back into the feasible set, in at most so many iterations; empty where there is no constraint."""

    def vulnerability(self, state: SearchState) -> float:
        """F at the present state, on the fixed sample."""


ALGORITHMS: Registry[type[Algorithm]] = Registry("search algorithm")
