"""Additions to the training of networks that are made of cells: drop-path, and an auxiliary classifier.

Both are hooks on the network, active in training mode only, and leave its weights' names as they are.

References:
    Liu et al. 2019, "DARTS: Differentiable Architecture Search" (https://arxiv.org/abs/1806.09055), Section 3.2, and
    the authors' code (quark0/darts).
    Larsson et al. 2017, "FractalNet" (https://arxiv.org/abs/1605.07648), Section 3, for drop-path.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from rnas.attacks.noise import draw
from rnas.networks.cells import CellNetwork, NetworkCell

__all__ = ["Auxiliary", "DropPath"]

#: Widths of the auxiliary classifier, as in DARTS.
AUXILIARY_WIDTHS = (128, 768)


class DropPath:
    """Drop the signal of an image on an edge, with a probability that rises linearly from zero.

    What is kept is divided by the probability to keep it, so that the expectation stays. Identities are never dropped.
    Deviation: the probability rises with each step, in DARTS with each epoch.

    Args:
        network: whose edges.
        probability: at the end of training, in [0, 1).
    """

    def __init__(self, network: CellNetwork, probability: float) -> None:
        self.probability = probability
        self.present = 0.0
        self.generator: torch.Generator | None = None
        for cell in network.cells:
            assert isinstance(cell, NetworkCell)
            for edge in cell.edges:
                if not isinstance(edge, nn.Identity):
                    edge.register_forward_hook(self.drop)

    def set(self, progress: float, generator: torch.Generator) -> None:
        """Prepare a step.

        Args:
            progress: the part of the training that is done, in [0, 1].
            generator: the source of the step's randomness, on the network's device.
        """
        self.present, self.generator = self.probability * progress, generator

    def drop(self, edge: nn.Module, inputs: Any, output: Tensor) -> Tensor:  # noqa: ARG002 - a forward hook
        """Drop from an edge's output, shape (N, C, H, W)."""
        if not edge.training or self.present == 0:
            return output
        keep = 1 - self.present
        shape = (len(output), 1, 1, 1)
        kept = draw(torch.rand, shape, self.generator, device=output.device, dtype=torch.float32) < keep
        return output * (kept / keep).to(output.dtype)


class Auxiliary(nn.Module):
    """A second classifier behind the second reduction cell, whose loss shortens the way of gradients.

    Deviation: it pools quarters of the map, of any size; in DARTS the windows, 5x5 on 8x8, overlap.

    Args:
        network: the network; its passes in training mode are observed.
        num_classes: number of classes.
    """

    def __init__(self, network: CellNetwork, num_classes: int) -> None:
        super().__init__()
        cell = network.cells[2 * len(network.cells) // 3]
        assert isinstance(cell, NetworkCell)
        narrow, wide = AUXILIARY_WIDTHS
        self.head = nn.Sequential(
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(2),
            nn.Conv2d(cell.out_channels, narrow, 1, bias=False),
            nn.BatchNorm2d(narrow),
            nn.ReLU(),
            nn.Conv2d(narrow, wide, 2, bias=False),
            nn.BatchNorm2d(wide),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(wide, num_classes),
        )
        self.seen: list[Tensor] = []
        cell.register_forward_hook(self.observe)

    def observe(self, cell: nn.Module, inputs: Any, output: Tensor) -> None:  # noqa: ARG002 - a forward hook
        """Classify the features of a training pass."""
        if cell.training:
            self.seen.append(self.head(output).float())

    def take(self) -> list[Tensor]:
        """The logits (N, num_classes) of each training pass since the last call."""
        seen, self.seen = self.seen, []
        return seen
