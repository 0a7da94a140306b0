"""The optimiser of weights, the same in training and in search: SGD with momentum, a schedule, clipping."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from rnas import parallel
from rnas.config import WeightConfig
from rnas.errors import DivergenceError
from rnas.training.config import ScheduleConfig
from rnas.training.schedules import SCHEDULES, course

__all__ = ["WeightOptimiser"]

#: What torch adds to the norm by which it clips.
CLIP_TINY = 1e-6


class WeightOptimiser:
    """SGD with momentum and weight decay.

    Args:
        network: whose parameters are trained.
        settings: rate, momentum, decay, clipping.
        steps: number of steps in all.
        schedule: the rate over the steps; None for a half cosine to zero.

    Raises:
        UnknownNameError: if there is no such schedule.
    """

    def __init__(
        self, network: nn.Module, settings: WeightConfig, steps: int, *, schedule: ScheduleConfig | None = None
    ) -> None:
        self.parameters = list(network.parameters())
        self.gradient_clip = settings.gradient_clip
        self.sgd = torch.optim.SGD(
            self.parameters,
            lr=settings.learning_rate,
            momentum=settings.momentum,
            weight_decay=settings.weight_decay,
        )
        schedule = schedule or ScheduleConfig()
        self.course = partial(course, schedule, settings.learning_rate, steps)
        self.schedule = SCHEDULES[schedule.name](self.sgd, schedule, max(1, steps))

    @property
    def learning_rate(self) -> float:
        """The rate of the next step."""
        return float(self.sgd.param_groups[0]["lr"])

    def step(self, loss: Tensor) -> float:
        """Descend once.

        Args:
            loss: a scalar tensor; where several processes share the batch, the mean over the rows of this one.

        Returns:
            Its value; the mean over all rows.

        Raises:
            DivergenceError: if the loss or its gradient is not finite; the weights are then unchanged.
        """
        value = parallel.means({"loss": float(loss.detach())})["loss"]
        if not math.isfinite(value):
            raise DivergenceError(f"the loss is {value}")
        self.sgd.zero_grad(set_to_none=True)
        parallel.weighted(loss).backward()
        reached = [parameter for parameter in self.parameters if parameter.grad is not None]
        gradients = parallel.summed([parameter.grad for parameter in reached if parameter.grad is not None])
        for parameter, gradient in zip(reached, gradients, strict=True):
            parameter.grad = gradient
        norm = float(nn.utils.clip_grad_norm_(self.parameters, self.gradient_clip))
        if not math.isfinite(norm):
            raise DivergenceError(f"the gradient of the weights has norm {norm}")
        self.sgd.step()
        self.schedule.step()
        return value

    def virtual_step(self, gradients: Sequence[Tensor]) -> list[Tensor]:
        """The weights that `step` would lead to, without taking it.

        Args:
            gradients: of the loss in each of `parameters`, of their shapes.

        Returns:
            New values of `parameters`, differentiable in the gradients.
        """
        (group,) = self.sgd.param_groups
        norm = torch.linalg.vector_norm(torch.stack([torch.linalg.vector_norm(gradient) for gradient in gradients]))
        clipping = (self.gradient_clip / (norm + CLIP_TINY)).clamp(max=1)
        weights = []
        for parameter, gradient in zip(self.parameters, gradients, strict=True):
            step = clipping * gradient + group["weight_decay"] * parameter.detach()
            if (velocity := self.sgd.state.get(parameter, {}).get("momentum_buffer")) is not None:
                step = step + group["momentum"] * velocity
            weights.append(parameter.detach() - self.learning_rate * step)
        return weights

    def state(self) -> dict[str, Any]:
        """The content of a checkpoint."""
        return {"sgd": self.sgd.state_dict(), "schedule": self.schedule.state_dict()}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from `state`."""
        self.sgd.load_state_dict(state["sgd"])
        self.schedule.load_state_dict(state["schedule"])

    def reschedule(self, done: int) -> None:
        """Go on with this schedule after steps that were made with another, whose rates were the same.

        Args:
            done: steps so far.
        """
        rates, state = self.course(done)
        self.schedule.load_state_dict(state)
        for group in self.sgd.param_groups:
            group["lr"] = rates[-1]
