"""The loss of one training step: the objective on a network prepared for attacks, and what is added to it."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from rnas.attacks.folding import FoldedNetwork
from rnas.objectives import Objective
from rnas.training.cells import Auxiliary
from rnas.training.config import TrainingConfig

__all__ = ["Autocast", "TrainingStep"]


class Autocast(nn.Module):
    """A network that computes in a narrower format inside and returns logits in float32.

    Args:
        network: the network.
        dtype: the format, for example torch.bfloat16.
    """

    def __init__(self, network: nn.Module, dtype: torch.dtype) -> None:
        super().__init__()
        self.network = network
        self.dtype = dtype

    def forward(self, images: Tensor) -> Tensor:
        with torch.autocast(images.device.type, dtype=self.dtype):
            return self.network(images).float()


class TrainingStep:
    """Computes losses of batches.

    Args:
        network: what is trained; hooks for training only are added to it after this.
        objective: the loss.
        config: settings.
    """

    def __init__(self, network: nn.Module, objective: Objective, config: TrainingConfig) -> None:
        self.network = network
        self.objective = objective
        self.config = config
        self.view = FoldedNetwork(network) if objective.attacks else None

    def loss(
        self, images: Tensor, labels: Tensor, generator: torch.Generator, auxiliary: Auxiliary | None
    ) -> tuple[Tensor, Tensor]:
        """The loss of a batch in training mode, and the logits that it judged.

        Args:
            images: shape (N, C, H, W), in [0, 1].
            labels: shape (N,).
            generator: the source of all randomness.
            auxiliary: whose loss is added; None for none.
        """
        model, attacked = self.network.train(), self.network if self.view is None else self.view.refresh()
        if self.config.precision == "bfloat16":
            model, attacked = Autocast(model, torch.bfloat16), Autocast(attacked, torch.bfloat16)
        loss, logits = self.objective(model, attacked, images, labels, generator)
        if auxiliary is not None:
            # One pass of the objective or several (clean, adversarial): the mean keeps the weight's meaning.
            losses = [self.objective.cross_entropy(seen, labels) for seen in auxiliary.take()]
            loss = loss + self.config.cells.auxiliary_weight * sum(losses) / len(losses)
        return loss, logits
