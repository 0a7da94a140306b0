"""The supernet as a search sees it: a space of cells made differentiable."""

from __future__ import annotations

import abc
from collections.abc import Mapping, Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn

from rnas.errors import RunError
from rnas.networks.normalise import Normalise

__all__ = ["CellSupernet", "MixedOperation", "SupernetAt", "active_operations"]


def active_operations(weights: Tensor) -> list[list[bool]]:
    """Which operations of a cell have to be computed: those whose weight is not 0, or is to get a gradient.

    Args:
        weights: of one cell, shape (edges, operations).

    Returns:
        A list of booleans, one an operation, for each edge.
    """
    if weights.requires_grad:
        return [[True] * weights.shape[1]] * weights.shape[0]
    return (weights != 0).tolist()


class MixedOperation(nn.Module):
    """All candidate operations of one edge, weighted and summed.

    Args:
        operations: name -> module; `none` must be among them.
    """

    def __init__(self, operations: Mapping[str, nn.Module]) -> None:
        super().__init__()
        self.names = tuple(operations)
        self.operations = nn.ModuleList(operations.values())

    def forward(self, x: Tensor, weights: Tensor, active: Sequence[bool]) -> Tensor:
        """Mix the operations of one edge.

        Args:
            x: the source node, shape (N, C, H, W).
            weights: one weight an operation, shape (operations,).
            active: which of them to compute; the others have weight 0.

        Returns:
            Shape (N, C, H / stride, W / stride).
        """
        # Equation 1; the operation `none` adds nothing and is not computed.
        terms = [
            weight * operation(x)
            for name, weight, operation, computed in zip(self.names, weights, self.operations, active, strict=True)
            if computed and name != "none"
        ]
        if not terms:
            # Still a function of x, with a gradient of 0: a path without any operation ignores the image.
            return self.operations[self.names.index("none")](x) + 0 * x.sum()
        return sum(terms[1:], terms[0])


class CellSupernet(nn.Module, abc.ABC):
    """A network whose cells mix all operations of a space.

    `cells` holds the cells in order; their outputs are what Eq. 5 measures. `normalise` is the first layer.
    """

    #: Kinds of cell, edges of a cell and operations of an edge: the shape of alpha.
    alpha_shape: ClassVar[tuple[int, int, int]]

    normalise: Normalise
    cells: nn.ModuleList

    @classmethod
    def initial_alpha(cls, generator: torch.Generator | None = None) -> Tensor:
        """Architecture parameters to start from: logits near zero, so that all operations weigh about the same.

        Returns:
            Shape `alpha_shape`, on the CPU, normal with deviation 1e-3.
        """
        return 1e-3 * torch.randn(cls.alpha_shape, generator=generator)

    def forward(self, images: Tensor, alpha: Tensor) -> Tensor:
        """Classify images with the operations mixed by alpha (Eq. 1).

        Args:
            images: values in [0, 1], shape (N, in_channels, H, W).
            alpha: logits, shape `alpha_shape`.

        Returns:
            Logits, shape (N, num_classes).
        """
        return self.mix(images, alpha.softmax(dim=-1))  # Equation 1, the weights

    @abc.abstractmethod
    def mix(self, images: Tensor, weights: Tensor) -> Tensor:
        """Classify images with the operations weighted; arguments are those of `forward`, but weights for alpha."""

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Load the weights and statistics that a checkpoint keeps of the supernet.

        Raises:
            RunError: if it keeps no running statistics where the supernet has some.
        """
        if lost := [name for name in self.state_dict() if "running" in name and name not in state]:
            raise RunError(
                f"the checkpoint has no running statistics for {lost[0].rpartition('.')[0]!r}: the supernet of the "
                "version that wrote it kept none there; choose another --out, or resume with that version, which "
                "manifest.json names"
            )
        self.load_state_dict(state)

    def folded(self, weights: Tensor) -> nn.Module:
        """The supernet at fixed weights of the operations, in evaluation mode, for the many passes of an attack.

        Gradients flow to the images only. Whether later changes of the supernet reach it is left open.

        Args:
            weights: shape `alpha_shape`.

        Returns:
            A module from images in [0, 1], shape (N, in_channels, H, W), to logits (N, num_classes).
        """
        return SupernetAt(self, weights.detach()).eval()


class SupernetAt(nn.Module):
    """A supernet at given weights of its operations, as an ordinary network: images in, logits out.

    Attacks, objectives and the vulnerability take it like any other model; gradients flow to `weights` if they ask for
    them. It shares the supernet's weights and modes.

    Args:
        supernet: the supernet.
        weights: shape (kinds, edges, operations), for example the softmax of alpha.
    """

    def __init__(self, supernet: CellSupernet, weights: Tensor) -> None:
        super().__init__()
        self.supernet = supernet
        self.weights = weights

    @property
    def cell_layers(self) -> list[str]:
        """Names of the cells, whose outputs Eq. 5 measures."""
        return [f"supernet.cells.{index}" for index in range(len(self.supernet.cells))]

    def forward(self, images: Tensor) -> Tensor:
        return self.supernet.mix(images, self.weights)
