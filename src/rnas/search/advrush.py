"""AdvRush: clean losses, and a penalty on the curvature of the loss in the image.

    min over alpha of L_val(theta*, alpha) + gamma C(theta*, alpha)
    C = mean over images of || grad_x l(x + h z) - grad_x l(x) ||,   z = sign(grad_x l(x)) / || sign(grad_x l(x)) ||

l is the loss of one image; C is small where its landscape around the image is smooth, which is what the paper takes for
the robustness that an architecture has by itself. Nothing is trained adversarially. The first epochs do without C.

References:
    Mok et al. 2021, "AdvRush: Searching for Adversarially Robust Neural Architectures"
    (https://arxiv.org/abs/2108.01289), Section 4.
    Moosavi-Dezfooli et al. 2019, "Robustness via curvature regularization, and vice versa"
    (https://arxiv.org/abs/1811.09716), for C and z.

Deviations:
    As in the published code (nutellamok/advrush, regularizer.py), and unlike in the papers, the norm is not squared.
    As there, networks are in evaluation mode inside C. `gamma` is the product of its two factors, 0.01 and 4.
    h is in units of images in [0, 1]; the code's 1.5 of normalised images are 0.37 of CIFAR-10's.
    The code trains weights and alpha on all training images; here each has its half. It starts C after 50 of 60 epochs,
    without a warm-up; here after that part of the epochs that train alpha.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from rnas.attacks.guards import evaluation_mode
from rnas.config import require
from rnas.search.algorithm import ALGORITHMS, Batch, SearchState
from rnas.search.darts import Darts
from rnas.supernets.base import SupernetAt

__all__ = ["AdvRush", "AdvRushConfig", "curvature"]

#: Added to the length of z, as in the code: an image without a gradient has z = 0.
TINY = 1e-7


@dataclass(frozen=True)
class AdvRushConfig:
    """Settings of the algorithm "advrush".

    Args:
        gamma: weight of the curvature, >= 0.
        distance: h, the Euclidean distance of the two points of an image, in units of images in [0, 1], > 0.
        start: part of the epochs after the warm-up that do without the curvature, in [0, 1).
    """

    gamma: float = 0.04
    distance: float = 0.37
    start: float = 5 / 6

    def __post_init__(self) -> None:
        """Check the ranges."""
        require(self.gamma >= 0, "gamma", "a number >= 0", self.gamma)
        require(self.distance > 0, "distance", "a number > 0", self.distance)
        require(0 <= self.start < 1, "start", "a number in [0, 1)", self.start)


@ALGORITHMS.register("advrush", settings=AdvRushConfig)
class AdvRush(Darts):
    """DARTS with a penalty on the curvature of the input loss landscape."""

    needs_modules = True

    def penalties(
        self,
        state: SearchState,
        architecture: Sequence[Tensor],  # noqa: ARG002
        network: SupernetAt,
        batch: Batch,
    ) -> dict[str, Tensor]:
        warm = self.config.warmup_epochs
        if state.epoch - warm < int(self.own.start * (self.config.epochs - warm)):
            return {}
        with evaluation_mode(network):
            bent = curvature(network, batch.images, batch.labels, self.own.distance)
        return {"curvature": self.own.gamma * bent.mean()}


def curvature(network: Callable[[Tensor], Tensor], images: Tensor, labels: Tensor, distance: float) -> Tensor:
    """How far the gradient of each image's loss changes on the way to a point in the direction of its sign.

    Args:
        network: images to logits, differentiable twice.
        images: shape (N, C, H, W).
        labels: shape (N,).
        distance: h, to that point.

    Returns:
        Shape (N,), differentiable in whatever the network is.
    """

    def gradient(points: Tensor) -> Tensor:
        points = points.detach().requires_grad_()
        loss = F.cross_entropy(network(points), labels, reduction="sum")
        return torch.autograd.grad(loss, points, create_graph=True)[0]

    here = gradient(images)
    signs = here.detach().sign()
    length = signs.flatten(1).norm(dim=1).view(-1, 1, 1, 1)
    there = gradient(images + distance * signs / (length + TINY))
    return (there - here).flatten(1).norm(dim=1)
