"""REINFORCE on a table of logits: cells are drawn from a policy that learns which choices were rewarded.

A cell a is drawn with probability pi(a; alpha), alpha starting at 0, and after it is rewarded with R (Zoph and Le,
Section 3.2, with one cell a step)

    alpha <- alpha + rate (R - b) grad log pi(a; alpha),    b the moving average of the rewards before

The policy draws without replacement the edges that a node reads, each as strong as all of its operations together, and
on each of them an operation:

    log pi(a; alpha) = sum over nodes of log P(edges that a reads; s) + sum over these of log softmax(alpha_edge)_o
    s_edge = logsumexp of alpha_edge,  o the edge's operation

Where a node reads all edges, as in NAS-Bench-201, the first term is 0, and each edge is a categorical of its own.

References:
    Zoph and Le 2017, "Neural Architecture Search with Reinforcement Learning" (https://arxiv.org/abs/1611.01578).
    Ying et al. 2019, NAS-Bench-101 (https://arxiv.org/abs/1902.09635): a table of logits in place of a recurrent
    network, plain gradient steps; rate and momentum are those of the code (automl/nas_benchmarks, run_rl.py).
    Williams 1992, "Simple statistical gradient-following algorithms for connectionist reinforcement learning".
    Plackett 1975, "The Analysis of Permutations": draws without replacement.

Deviations:
    The reward is robust accuracy after a short adversarial training, or with the weights of a supernet.
    The code of Ying et al. has the present reward in the moving average; here, as in Zoph and Le, it has not, so the
    first reward moves nothing.
    They draw anew until a cell is allowed. Here one that is disconnected, or above the size limit, stands for the
    nearest allowed one, whose reward it gets: the gradient is then that of the expected reward, without a bias.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from rnas.config import MOST_RATE, require
from rnas.search.algorithm import ALGORITHMS, SearchState
from rnas.search.config import SearchConfig
from rnas.search.sampling import Reward, Sampling, SamplingConfig
from rnas.seeding import derive
from rnas.supernets.space import SearchSpace

__all__ = ["Policy", "Reinforce", "ReinforceConfig"]

#: A logit beside which one of 0 has no weight.
CERTAIN = 40.0


@dataclass(frozen=True)
class ReinforceConfig(SamplingConfig):
    """Settings of the algorithm "reinforce"; what it shares with others is in `SamplingConfig`.

    Args:
        learning_rate: learning rate of the logits, > 0.
        momentum: momentum of the moving average of rewards, in [0, 1); with 0 the average is the last reward.
    """

    learning_rate: float = 0.1
    momentum: float = 0.9

    def __post_init__(self) -> None:
        """Check the ranges."""
        super().__post_init__()
        require(self.learning_rate > 0, "learning_rate", "a number > 0", self.learning_rate, at_most=MOST_RATE)
        require(0 <= self.momentum < 1, "momentum", "a number in [0, 1)", self.momentum)


@ALGORITHMS.register("reinforce", settings=ReinforceConfig)
class Reinforce(Sampling):
    """Alpha are the logits, and end in alpha.safetensors."""

    @classmethod
    def check(cls, config: SearchConfig, space: SearchSpace) -> None:  # noqa: ARG003
        require(bool(space.edges), "space", "one that names its edges, for reinforce draws them", space.name)

    def explore(self, state: SearchState, reward: Reward, seed: int) -> None:
        policy, at_most = Policy(state.space), state.space.at_most(self.config.size_limit)
        logits = torch.zeros(state.alpha.shape, requires_grad=True)
        rewards, weights = 0.0, 0.0  # the sum of those so far, each times the momentum to the power of its age
        for number in range(self.own.candidates):
            path = policy.draw(logits.detach(), torch.Generator().manual_seed(derive(seed, number)))
            value = reward(state.space.derive(policy.preference(path), at_most))
            if number:
                (gradient,) = torch.autograd.grad(policy.log_probability(logits, path), logits)
                with torch.no_grad():
                    logits += self.own.learning_rate * (value - rewards / weights) * gradient
            rewards, weights = self.own.momentum * rewards + value, self.own.momentum * weights + 1
        state.set_alpha(logits)


class Policy:
    """Draws cells of a space, as paths: tensors of alpha's shape, true at the operations of the edges that are read.

    Args:
        space: one that names its edges.
    """

    def __init__(self, space: SearchSpace) -> None:
        self.refused = torch.tensor([name == "none" and not space.keeps_none for name in space.operations])
        self.none = torch.tensor([name == "none" for name in space.operations])
        some = space.derive(torch.zeros(space.supernet.alpha_shape), None)
        #: For each node its kind of cell, its incoming edges, and how many of these it reads.
        self.nodes = [
            (kind, [edge for edge, (_, end) in enumerate(space.edges) if end == target], len(read))
            for kind, name in enumerate(space.kinds)
            for target, read in enumerate(some[name].nodes, start=some[name].inputs)
        ]

    def draw(self, logits: Tensor, generator: torch.Generator) -> Tensor:
        """A path. The largest logits plus Gumbel noise are a draw without replacement."""
        noise = torch.empty_like(logits).exponential_(generator=generator).log().neg()
        strengths, operations = (logits + noise).masked_fill(self.refused, -torch.inf).max(dim=-1)
        path = torch.zeros(logits.shape, dtype=torch.bool)
        for kind, incoming, count in self.nodes:
            for place in strengths[kind, incoming].topk(count).indices.tolist():
                path[kind, incoming[place], operations[kind, incoming[place]]] = True
        return path

    def log_probability(self, logits: Tensor, path: Tensor) -> Tensor:
        """Log pi(path; logits), a scalar tensor, differentiable in the logits."""
        possible = logits.masked_fill(self.refused, -torch.inf)
        strengths, read = possible.logsumexp(dim=-1), path.any(dim=-1)
        total = possible.log_softmax(dim=-1)[path].sum()
        for kind, incoming, _ in self.nodes:
            places = [place for place, edge in enumerate(incoming) if read[kind, edge]]
            total = total + log_probability_of_set(strengths[kind, incoming], places)
        return total

    def preference(self, path: Tensor) -> Tensor:
        """Logits from which a space derives the cell of a path, or the nearest cell that it may have.

        Near are cells that have most choices in common, and among these those that read the same nodes.
        """
        read = path.any(dim=-1, keepdim=True)
        return CERTAIN * path + 1.5 * CERTAIN * (~read & self.none)


def log_probability_of_set(strengths: Tensor, chosen: Sequence[int]) -> Tensor:
    """How likely it is that draws without replacement give a set, in whatever order: a scalar tensor.

    Args:
        strengths: logits, shape (n,).
        chosen: positions in them, as many as are drawn.
    """
    if len(chosen) == len(strengths):
        return strengths.new_zeros(())
    orders = []
    for order in itertools.permutations(chosen):
        left = list(range(len(strengths)))
        terms = []
        for place in order:
            terms.append(strengths[place] - strengths[left].logsumexp(dim=0))
            left.remove(place)
        orders.append(torch.stack(terms).sum())
    return torch.stack(orders).logsumexp(dim=0)
