"""CRoZe: whether a network and its perturbed twin agree, in features, weights and gradients.

    sum over layers m of Z_m P_m G_m
    Z_m = 1 + cos(features of m on x, those of the twin on x'),   P_m = 1 + cos(theta_m, theta'_m),
    G_m = |cos(g_m, g'_m)|

The twin has weights theta + beta ||theta|| g / ||g||, layer by layer, moved along the gradient g of its loss, and sees
x' = x + eps sign(grad_x l). P compares the weights after one step of gradient descent on both.

References:
    Ha et al. 2023, "Generalizable Lightweight Proxy for Robust NAS against Diverse Perturbations"
    (https://arxiv.org/abs/2306.05031), Section 3.2, Eq. 4 to 10.

Deviations:
    Layers are convolutions and linear layers. eps = 8/255 in units of images in [0, 1], beta = 0.01, and steps of 0.1.
    Batch norms take the statistics of the batch.
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rnas.attacks.guards import signs
from rnas.scores.registry import SCORES, gradients, weighted_layers

EPS, BETA, RATE = 8 / 255, 0.01, 0.1


@SCORES.register("croze", passes=4)
def croze(network: nn.Module, images: Tensor, labels: Tensor, generator: torch.Generator) -> float:  # noqa: ARG001
    """The consistency of a network with its perturbed twin."""
    clean, twin = copy.deepcopy(network).train(), copy.deepcopy(network).train()
    layers = weighted_layers(clean)
    features, slopes = observe(clean, images, labels)
    others = dict(twin.named_modules())
    with torch.no_grad():
        for name in slopes:
            weight = others[name].weight
            weight += BETA * weight.norm() * slopes[name] / slopes[name].norm().clamp_min(1e-12)
    inputs = images.detach().clone().requires_grad_()
    (direction,) = torch.autograd.grad(F.cross_entropy(twin(inputs), labels), inputs)
    perturbed = (images + EPS * signs(direction)).clamp(0, 1)
    other_features, other_slopes = observe(twin, perturbed, labels)
    total = 0.0
    for name, slope in slopes.items():
        if name in other_slopes:
            weights = layers[name].weight - RATE * slope, others[name].weight - RATE * other_slopes[name]
            agreement = (1 + cosine(features[name], other_features[name])) * (1 + cosine(*weights))
            total += agreement * abs(cosine(slope, other_slopes[name]))
    return total


def observe(network: nn.Module, images: Tensor, labels: Tensor) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """The output of each layer for images, and the gradient of the loss in its weights."""
    features: dict[str, Tensor] = {}
    handles = [
        layer.register_forward_hook(lambda _module, _inputs, output, name=name: features.update({name: output}))
        for name, layer in weighted_layers(network).items()
    ]
    slopes = gradients(network, images, labels)
    for handle in handles:
        handle.remove()
    return {name: output.detach() for name, output in features.items()}, slopes


def cosine(first: Tensor, second: Tensor) -> float:
    """Of two tensors as vectors."""
    return float(F.cosine_similarity(first.detach().flatten(), second.detach().flatten(), dim=0))
