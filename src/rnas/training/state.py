"""All that a training changes, and what a checkpoint keeps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from rnas.errors import DivergenceError
from rnas.training.cells import Auxiliary
from rnas.training.collapse import CollapseCheck
from rnas.training.optimiser import WeightOptimiser
from rnas.training.validation import Validation

__all__ = ["TrainingState", "moving_average"]

Tensors = list[Tensor] | tuple[Tensor, ...]


def moving_average(network: nn.Module, decay: float) -> AveragedModel:
    """An exponential moving average of a network's weights and of the statistics of its batch norms.

    After step t = 0 it is the weights; after t = 1, 2, ...

        d * (average before) + (1 - d) * (weights now),   d = min(decay, (1 + t) / (10 + t))

    The decay grows with t because the first weights are random: at a constant one they keep a share of decay^t, which
    in a short training is most of the average. As it is their share falls as t^-9. Adam's correction would not do: with
    it, all weights since the first step count the same until about 1 / (1 - decay) steps are done.

    Source: `num_updates` of TensorFlow's tf.train.ExponentialMovingAverage
    (https://www.tensorflow.org/api_docs/python/tf/train/ExponentialMovingAverage).

    Args:
        network: whose weights; it is copied.
        decay: the largest, in [0, 1).
    """

    def average(averages: Tensors, weights: Tensors, step: Tensor | int) -> None:
        present = min(decay, (1 + int(step)) / (10 + int(step)))
        get_ema_multi_avg_fn(present)(averages, weights, step)

    return AveragedModel(network, multi_avg_fn=average, use_buffers=True)


@dataclass
class TrainingState:
    """The state of a training.

    Args:
        network: what is trained.
        optimiser: of its weights and the auxiliary classifier's.
        average: of its weights; None for none.
        auxiliary: the auxiliary classifier; None for none.
        validation: the choice of the epoch; None for the last.
        collapse: watches for catastrophic overfitting; None where there can be none.
        step: the step to go on with.
    """

    network: nn.Module
    optimiser: WeightOptimiser
    average: AveragedModel | None
    auxiliary: Auxiliary | None
    validation: Validation | None
    collapse: CollapseCheck | None
    step: int = 0

    @property
    def parts(self) -> dict[str, Any]:
        """The parts with a state of their own, by their names in a checkpoint."""
        parts = {name: getattr(self, name) for name in ("average", "auxiliary", "validation", "collapse")}
        return {name: part for name, part in parts.items() if part is not None}

    @property
    def result(self) -> nn.Module:
        """The network that is validated and, where nothing is validated, kept at the end."""
        return self.network if self.average is None else self.average.module

    @property
    def exhausted(self) -> bool:
        """Whether validation says to stop."""
        return self.validation is not None and self.validation.exhausted

    def advance(self) -> None:
        """Count a step, after the optimiser's."""
        if self.average is not None:
            self.average.update_parameters(self.network)
        self.step += 1

    def examine(self, *, ended: bool) -> dict[str, float]:
        """Make sure that the state is worth keeping, and measure what is measured when an epoch has ended.

        Returns:
            Accuracies by name, in [0, 1]; none within an epoch.

        Raises:
            DivergenceError: if a weight or a statistic is not finite, or the network has collapsed.
        """
        for name, tensor in self.network.state_dict().items():
            if not bool(tensor.isfinite().all()):
                raise DivergenceError(f"{name} is no longer finite")
        if not ended:
            if self.collapse is not None:
                self.collapse.measure(self.network)
            return {}
        values = {} if self.collapse is None else self.collapse.update(self.network)
        return values if self.validation is None else values | self.validation.update(self.result)

    def finish(self) -> None:
        """Give the network the weights that are kept."""
        best = None if self.validation is None else self.validation.weights
        self.network.load_state_dict(best or self.result.state_dict())

    def save(self) -> dict[str, Any]:
        """The content of a checkpoint."""
        parts = {
            name: part.state_dict() if isinstance(part, nn.Module) else part.state()
            for name, part in self.parts.items()
        }
        return {
            "step": self.step,
            "network": self.network.state_dict(),
            "optimiser": self.optimiser.state(),
            **parts,
        }

    def restore(self, saved: dict[str, Any]) -> None:
        """Go on from `save`."""
        self.network.load_state_dict(saved["network"])
        self.optimiser.restore(saved["optimiser"])
        for name, part in self.parts.items():
            if isinstance(part, nn.Module):
                part.load_state_dict(saved[name])
            else:
                part.restore(saved[name])
        self.step = saved["step"]
