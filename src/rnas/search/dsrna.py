"""DSRNA: clean losses, and alpha also maximises a measure of robustness of its own, one of two or both.

    min over alpha of L_val(theta*, alpha) + jacobian || J ||_F^2 - certified log r

J is the Jacobian of the logits in the image: a small one bounds what a small perturbation does. Its norm is estimated
along one random direction v of the logits, || J ||_F^2 = classes E || v J ||^2. r is a certified lower bound on the
distance of the nearest adversarial image, in the maximum norm. Both are means over the images; an image without a
certificate, as a misclassified one, has no second term. A weight of 0 leaves its term out.

References:
    Hosseini et al. 2021, "DSRNA: Differentiable Search of Robust Neural Architectures"
    (https://arxiv.org/abs/2012.06122): the two measures.
    Hoffman et al. 2019, "Robust Learning with Jacobian Regularization" (https://arxiv.org/abs/1908.02729), Section 2:
    the estimate.

Deviations:
    We know of no published code. The bound is that of interval propagation (`rnas.certification`), which is simpler and
    looser than bounds by linear functions; its logarithm is maximised, so that images of small and of large radii
    count alike. It is differentiated where the least margin is 0, by the implicit function theorem. Batch norms that
    take the statistics of the batch take those of the images themselves, as if they were constants.
    Radii are tiny, about 1e-8 in an untrained supernet of DARTS of 8 cells, 1e-13 in one of NAS-Bench-201 of one cell a
    stage and 1e-27 of three; beyond 1e-30 there is no certificate. The log has the share of images that have one.
    Networks are in evaluation mode in both measures. The weights are ours.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from rnas.attacks.guards import evaluation_mode
from rnas.attacks.noise import draw
from rnas.certification.program import Program, interval_margins, trace
from rnas.config import require
from rnas.errors import ModelError
from rnas.search.algorithm import ALGORITHMS, Batch, SearchState
from rnas.search.config import SearchConfig
from rnas.search.darts import Darts
from rnas.search.settings import own_settings
from rnas.supernets.base import SupernetAt
from rnas.supernets.space import SearchSpace

__all__ = ["Dsrna", "DsrnaConfig", "certified_radius", "squared_jacobian"]

#: The largest radius that is looked for, and the smallest: an image that is not certified within it has none.
LARGEST, SMALLEST = 0.1, 1e-30
#: Bisections for a radius, which is found to some percent.
STEPS = 10


@dataclass(frozen=True)
class DsrnaConfig:
    """Settings of the algorithm "dsrna".

    Args:
        jacobian: weight of the squared norm of the Jacobian, >= 0.
        certified: weight of the logarithm of the certified radius, >= 0; one of the two is above 0.
    """

    jacobian: float = 0.01
    certified: float = 0.0

    def __post_init__(self) -> None:
        """Check the ranges."""
        require(self.jacobian >= 0, "jacobian", "a number >= 0", self.jacobian)
        require(self.certified >= 0, "certified", "a number >= 0", self.certified)
        require(self.jacobian + self.certified > 0, "certified", "a number > 0 where jacobian is 0", self.certified)


@ALGORITHMS.register("dsrna", settings=DsrnaConfig)
class Dsrna(Darts):
    """DARTS with a regulariser of robustness."""

    needs_modules = True

    @classmethod
    def check(cls, config: SearchConfig, space: SearchSpace) -> None:
        if not own_settings(config).certified:
            return
        with torch.random.fork_rng(devices=[]):
            supernet = space.path_supernet(2, channels=2, cells=max(1, space.least_cells), in_channels=1).eval()
        try:
            trace(SupernetAt(supernet, torch.ones(supernet.alpha_shape)), (1, 8, 8), batch_statistics=True)
        except ModelError:
            require(False, "space", "one whose operations dsrna can bound by intervals", space.name)

    def alpha_step(self, state: SearchState, batch: Batch, training: Batch) -> dict[str, float]:
        values = super().alpha_step(state, batch, training)
        return values | {"certified_share": self.share} if self.own.certified else values

    def penalties(
        self,
        state: SearchState,
        architecture: Sequence[Tensor],  # noqa: ARG002
        network: SupernetAt,
        batch: Batch,
    ) -> dict[str, Tensor]:
        terms = {}
        with evaluation_mode(network):
            if self.own.jacobian:
                terms["jacobian"] = self.own.jacobian * squared_jacobian(network, batch.images, batch.generator).mean()
            if self.own.certified:
                program = Program(network, batch_statistics=True)
                radii, certain = certified_radius(program, batch.images, batch.labels, LARGEST)
                self.share = float(certain.float().mean())
                terms["certified"] = -self.own.certified * (radii.log() * certain).mean()
                # An interval takes the convolutions of two passes; that for the statistics has been counted.
                state.passes += 2 * (STEPS + 1)
        return terms


def squared_jacobian(network: Callable[[Tensor], Tensor], images: Tensor, generator: torch.Generator) -> Tensor:
    """An estimate of the squared Frobenius norm of each image's Jacobian, whose expectation it is.

    Args:
        network: images to logits, differentiable twice.
        images: shape (N, C, H, W).
        generator: draws a direction of the logits for each image.

    Returns:
        Shape (N,), differentiable in whatever the network is.
    """
    points = images.detach().requires_grad_()
    logits = network(points)
    directions = draw(torch.randn, logits.shape, generator, device=logits.device, dtype=logits.dtype)
    directions = directions / directions.norm(dim=1, keepdim=True)
    (gradient,) = torch.autograd.grad((logits * directions).sum(), points, create_graph=True)
    return logits.shape[1] * gradient.flatten(1).square().sum(dim=1)


def certified_radius(program: Program, images: Tensor, labels: Tensor, largest: float) -> tuple[Tensor, Tensor]:
    """The largest eps within which an image certainly keeps its label by intervals, by bisection.

    Args:
        program: the network.
        images: shape (N, C, H, W).
        labels: shape (N,).
        largest: where the bisection begins.

    Returns:
        Radii, shape (N,), differentiable in the network by the implicit function theorem; and which images have one.
    """
    tape = program.tape(images)

    def least_margins(eps: Tensor) -> Tensor:
        margins = interval_margins(program, images, labels, eps, tape)
        return margins.scatter(1, labels.unsqueeze(1), torch.inf).amin(dim=1)

    low = torch.full(labels.shape, math.log(SMALLEST), dtype=images.dtype, device=images.device)
    high = torch.full_like(low, math.log(largest))
    with torch.no_grad():
        for _ in range(STEPS):
            middle = (low + high) / 2
            holds = least_margins(middle.exp()) > 0
            low, high = torch.where(holds, middle, low), torch.where(holds, high, middle)
    radius = low.exp().requires_grad_()
    margins = least_margins(radius)
    (slope,) = torch.autograd.grad(margins.sum(), radius, retain_graph=True)
    # The radius follows the network so that the margin stays at 0.
    moved = radius.detach() - (margins - margins.detach()) / slope.clamp(max=-torch.finfo(slope.dtype).tiny)
    return moved, margins.detach() > 0
