"""Training-free scores: what one is, and what several of them need."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rnas.errors import ModelError
from rnas.registry import Lookup

__all__ = ["SCORES", "Score", "calibrated", "gradients", "weighted_layers"]

#: (network, images, labels, generator) to a score: a network with fresh weights, which is left as it was; images in
#: [0, 1] of shape (N, C, H, W), N >= 2; labels (N,); and a source of randomness. Higher means more robust.
Rule = Callable[[nn.Module, Tensor, Tensor, torch.Generator], float]


@dataclass(frozen=True)
class Score:
    """A training-free score.

    Args:
        rule: computes it.
        passes: forward passes through the network that it takes.
    """

    rule: Rule
    passes: int

    def __call__(self, network: nn.Module, images: Tensor, labels: Tensor, generator: torch.Generator) -> float:
        """Score a network.

        Args:
            network: with fresh weights; left as it was.
            images: in [0, 1], shape (N, C, H, W), N >= 2.
            labels: shape (N,).
            generator: on the device of the images.

        Returns:
            The score; higher means more robust, in units of its own.

        Raises:
            ModelError: if there are fewer than two images, or the network has not what the score looks at.
        """
        if len(images) < 2:
            raise ModelError(f"a score needs at least 2 images, got {len(images)}")
        return self.rule(network, images, labels, generator)


class Scores(Lookup[Score]):
    """The scores by name."""

    def register(self, name: str, *, passes: int) -> Callable[[Rule], Rule]:
        """Decorate a rule to make it available as `name`.

        Raises:
            ConfigError: if the name is taken.
        """

        def add(rule: Rule) -> Rule:
            self.add(name, Score(rule, passes), module=rule.__module__)
            return rule

        return add


SCORES = Scores("score", "rnas.scores.catalogue")


def calibrated(network: nn.Module, images: Tensor) -> nn.Module:
    """A copy in evaluation mode whose batch norms have the statistics of these images, for fresh ones have none.

    Args:
        network: left as it was.
        images: shape (N, C, H, W).
    """
    measured = copy.deepcopy(network).train()
    for module in measured.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 1.0
    with torch.no_grad():
        measured(images)
    return measured.eval()


def weighted_layers(network: nn.Module) -> dict[str, nn.Conv2d | nn.Linear]:
    """Its convolutions and linear layers, by name."""
    return {name: module for name, module in network.named_modules() if isinstance(module, nn.Conv2d | nn.Linear)}


def gradients(network: nn.Module, images: Tensor, labels: Tensor) -> dict[str, Tensor]:
    """Gradients of the mean cross-entropy in the weights of each convolution and linear layer, by the layer's name."""
    layers = weighted_layers(network)
    loss = F.cross_entropy(network(images), labels)
    found = torch.autograd.grad(loss, [layer.weight for layer in layers.values()], allow_unused=True)
    return {name: gradient for name, gradient in zip(layers, found, strict=True) if gradient is not None}
