"""RACL: architecture parameters are drawn from log-normal distributions, under a bound on the Lipschitz constant.

    alpha ~ LN(m, s^2), beta ~ LN(b, t^2);   the weight of o on (i, j): alpha_ijo / sum_o alpha * beta_ij / sum_i beta
    lambda_j = sum over i, o of weight_ijo lambda_o lambda_i,   lambda = product over cells of sum over j of lambda_j
    min over m, s, b, t of L_val + L_val^adv   subject to   P(lambda <= bound) >= confidence

lambda_o bounds the Lipschitz constant of an operation by the spectral norms of its convolutions. A sum of log-normal
variables is taken for log-normal, with its own mean and variance, and so is lambda: log lambda ~ N(mu, sigma^2). The
constraint becomes c = mu + z sigma - log bound <= 0, where z is the confidence's quantile of the normal distribution.
It is handled by the augmented Lagrangian of ADMM: alpha descends with (rho / 2) max(0, c + u / rho)^2 beside its
losses, and at an epoch's end u becomes max(0, u + rho c).

References:
    Dong et al. 2025, "Adversarially Robust Neural Architectures", IEEE TPAMI (https://arxiv.org/abs/2009.00902).

Deviations:
    We know of no published code; this is our reading of the method where it leaves a choice. The bound is a part of the
    constant's quantile at the end of the warm-up; the norms are those of the weights at the last epoch's end. Batch
    norms are left out. Weights are taken for independent; cells draw the same ones, so their deviations are added, not
    their variances. A convolution of k x k is bounded by k times the norm of its flattened kernel, a depthwise one by
    the largest sum of a kernel's absolute values, pooling by 3 and 4/3. The genotype is that of the greatest medians.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn

from rnas.config import require
from rnas.genotype import Genotype
from rnas.networks.operations import FactorizedReduce
from rnas.search.adversarial_darts import AdversarialDarts
from rnas.search.algorithm import ALGORITHMS, Batch, SearchState
from rnas.search.config import SearchConfig
from rnas.search.pc_darts import edge_weights
from rnas.search.relaxations import rival
from rnas.supernets.base import MixedOperation, SupernetAt
from rnas.supernets.space import SearchSpace

__all__ = ["LogNormal", "Racl", "RaclConfig", "cell_constant", "operation_norm"]

#: Deviations of log alpha and log beta at the start, as logarithms.
START = -2.0


@dataclass(frozen=True)
class RaclConfig:
    """Settings of the algorithm "racl".

    Args:
        bound: bound on the Lipschitz constant, as a part of its quantile at the end of the warm-up, > 0.
        confidence: confidence with which the bound has to hold, in (0.5, 1).
        rho: weight of the penalty, > 0.
    """

    bound: float = 0.5
    confidence: float = 0.9
    rho: float = 1.0

    def __post_init__(self) -> None:
        """Check the ranges."""
        require(self.bound > 0, "bound", "a number > 0", self.bound)
        require(0.5 < self.confidence < 1, "confidence", "a number in (0.5, 1)", self.confidence)
        require(self.rho > 0, "rho", "a number > 0", self.rho)


class LogNormal(NamedTuple):
    """Mean and variance of a positive variable's logarithm, each of any shape."""

    mean: Tensor
    variance: Tensor

    @staticmethod
    def of_moments(first: Tensor, second: Tensor) -> LogNormal:
        """The one with these moments, E x and E x^2."""
        variance = (second / first.square()).log()
        return LogNormal(first.log() - variance / 2, variance)

    def moment(self, power: int) -> Tensor:
        """E x^power."""
        return (power * self.mean + power**2 * self.variance / 2).exp()


@ALGORITHMS.register("racl", settings=RaclConfig)
class Racl(AdversarialDarts):
    """Adversarial DARTS on log-normal samples under a probable Lipschitz bound.

    It keeps b, the logarithms of s and t, the operations' constants (cells, edges, operations), the logarithm of the
    bound and u.
    """

    @classmethod
    def check(cls, config: SearchConfig, space: SearchSpace) -> None:  # noqa: ARG003
        require(space.chooses, "space", "one with named edges that chooses by weights, for racl", space.name)

    def begin(self, state: SearchState, generator: torch.Generator) -> None:
        alpha = state.alpha.detach()
        trained = {
            "beta": 1e-3 * torch.randn(alpha.shape[:2], generator=generator).to(alpha),
            "alpha_deviation": torch.full_like(alpha, START),
            "beta_deviation": torch.full_like(alpha[..., 0], START),
        }
        for name, tensor in trained.items():
            state.extra[name] = tensor.requires_grad_()
            state.alpha_optimiser.add_param_group({"params": [state.extra[name]], "weight_decay": 0})
        cell = state.space.largest(None, torch.Generator())[state.space.kinds[0]]
        self.inputs, self.outputs = cell.inputs, cell.concat
        state.extra |= {
            "norms": self.norms(state),
            "log_bound": torch.zeros_like(alpha[0, 0, 0]),
            "multiplier": torch.zeros_like(alpha[0, 0, 0]),
        }

    def architecture(self, state: SearchState) -> list[Tensor]:
        return [state.alpha, *(state.extra[name] for name in ("beta", "alpha_deviation", "beta_deviation"))]

    def weights(
        self,
        state: SearchState,
        architecture: Sequence[Tensor],
        generator: torch.Generator,
        *,
        smooth: bool = False,  # noqa: ARG002
    ) -> Tensor:
        alpha, beta, alpha_deviation, beta_deviation = architecture
        log_alpha, log_beta = (
            mean + log_deviation.exp() * torch.empty_like(mean).normal_(generator=generator)
            for mean, log_deviation in ((alpha, alpha_deviation), (beta, beta_deviation))
        )
        return log_alpha.softmax(dim=-1) * edge_weights(log_beta, state.space.edges).unsqueeze(-1)

    def norms(self, state: SearchState) -> Tensor:
        """Constants of the operations, shape (cells, edges, operations)."""
        rows = []
        for cell in state.supernet.cells:
            edges = cast("list[MixedOperation]", list(cast("nn.ModuleList", cell.edges)))
            named = [zip(edge.names, edge.operations, strict=True) for edge in edges]
            rows.append([[0.0 if name == "none" else operation_norm(one) for name, one in pairs] for pairs in named])
        return torch.tensor(rows).to(state.alpha)

    def quantile(self, state: SearchState, architecture: Sequence[Tensor]) -> Tensor:
        """The logarithm that lambda's stays below with the confidence: mu + z sigma."""
        alpha, beta, alpha_deviation, beta_deviation = architecture
        mean = alpha.log_softmax(dim=-1) + edge_weights(beta, state.space.edges).log().unsqueeze(-1)
        variance = (2 * alpha_deviation).exp() + (2 * beta_deviation).exp().unsqueeze(-1)
        kinds = getattr(state.supernet, "kinds", [0] * len(state.supernet.cells))
        cells = [
            cell_constant(LogNormal(mean[kind], variance[kind]), norms, state.space.edges, self.inputs, self.outputs)
            for kind, norms in zip(kinds, state.extra["norms"], strict=True)
        ]
        z = NormalDist().inv_cdf(self.own.confidence)
        return torch.stack([cell.mean + z * cell.variance.sqrt() for cell in cells]).sum()

    def penalties(
        self,
        state: SearchState,
        architecture: Sequence[Tensor],
        network: SupernetAt,  # noqa: ARG002
        batch: Batch,  # noqa: ARG002
    ) -> dict[str, Tensor]:
        excess = self.quantile(state, architecture) - state.extra["log_bound"]
        rho = self.own.rho
        return {"lipschitz": rho / 2 * (excess + state.extra["multiplier"] / rho).clamp_min(0).square()}

    @torch.no_grad()
    def end_warmup(self, state: SearchState) -> None:
        """Fix the bound."""
        self.measure(state)
        state.extra["log_bound"].copy_(self.quantile(state, self.architecture(state)) + math.log(self.own.bound))

    @torch.no_grad()
    def end_epoch(self, state: SearchState) -> dict[str, Any]:
        """Measure the constants anew, and move the multiplier."""
        if state.epoch < self.config.warmup_epochs:
            return {}
        self.measure(state)
        excess = self.quantile(state, self.architecture(state)) - state.extra["log_bound"]
        state.extra["multiplier"].add_(self.own.rho * excess).clamp_(min=0)
        return {"lipschitz_excess": float(excess), "multiplier": float(state.extra["multiplier"])}

    def measure(self, state: SearchState) -> None:
        """Keep the constants of the operations with their present weights."""
        state.extra["norms"].copy_(self.norms(state))

    def candidate(self, state: SearchState, index: int, at_most: int | None, generator: torch.Generator) -> Genotype:
        alpha, beta = (leaf.detach().double().cpu() for leaf in self.architecture(state)[:2])
        alpha = rival(alpha, generator) if index else alpha
        medians = alpha.softmax(dim=-1) * edge_weights(beta, state.space.edges).unsqueeze(-1)
        return state.space.choose(medians, at_most)


def cell_constant(
    weights: LogNormal, norms: Tensor, edges: Sequence[tuple[int, int]], inputs: int, outputs: Sequence[int]
) -> LogNormal:
    """The Lipschitz constant of a cell whose inputs have 1: the sum of its output nodes', by matching moments.

    Args:
        weights: of the operations, shape (edges, operations), taken for independent.
        norms: constants of the operations, same shape.
        edges: source and target of each, ordered by target.
        inputs: number of input nodes.
        outputs: nodes whose concatenation is the output.
    """
    first = [torch.ones_like(norms[0, 0])] * inputs
    second = list(first)
    terms = norms * weights.moment(1), norms.square() * weights.moment(2)
    edge_first = terms[0].sum(dim=-1)
    edge_second = edge_first.square() + (terms[1] - terms[0].square()).sum(dim=-1)
    for target in range(inputs, 1 + max(node for _, node in edges)):
        incoming = [(index, source) for index, (source, node) in enumerate(edges) if node == target]
        means = torch.stack([edge_first[index] * first[source] for index, source in incoming])
        squares = torch.stack([edge_second[index] * second[source] for index, source in incoming])
        first.append(means.sum())
        second.append(means.sum().square() + (squares - means.square()).sum())
    total = torch.stack([first[node] for node in outputs]).sum()
    spread = torch.stack([second[node] - first[node].square() for node in outputs]).sum()
    return LogNormal.of_moments(total, total.square() + spread)


def operation_norm(operation: nn.Module) -> float:
    """A bound on the Lipschitz constant of an operation in the Euclidean norm, batch norms left out."""
    if isinstance(operation, FactorizedReduce):
        return math.hypot(convolution_norm(operation.even), convolution_norm(operation.odd))
    if isinstance(operation, nn.MaxPool2d):
        return 3.0  # a pixel can be the largest of nine windows
    if isinstance(operation, nn.AvgPool2d):
        return 4 / 3  # the windows at a border have fewer pixels, each of which counts more
    parts = list(operation.children())
    if not parts:
        return convolution_norm(operation) if isinstance(operation, nn.Conv2d) else 1.0
    return math.prod(map(operation_norm, parts))


@torch.no_grad()
def convolution_norm(convolution: nn.Conv2d) -> float:
    """A bound on the spectral norm of a convolution with zeros around the maps."""
    weight = convolution.weight
    if convolution.groups == weight.shape[0] > 1:
        return float(weight.abs().sum(dim=(1, 2, 3)).max())
    height, width = convolution.kernel_size
    return (height * width) ** 0.5 * float(torch.linalg.matrix_norm(weight.flatten(1), 2))
