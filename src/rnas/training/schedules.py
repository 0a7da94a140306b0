"""Learning rates over the steps of a training, by name; torch's own schedulers under our settings.

With the highest rate r and S steps in all, step s = 0, 1, ... has the rate

    cosine      r (1 + cos(pi s / S)) / 2
    one_cycle   linear from r / 25 up to r at s = round(warmup S), then linear down to r / 250,000 at s = S - 1
    piecewise   r / divisor^(milestones m with round(m S) <= s)

References:
    Loshchilov and Hutter 2017, "SGDR" (https://arxiv.org/abs/1608.03983), Eq. 5 without restarts.
    Smith and Topin 2018, "Super-Convergence" (https://arxiv.org/abs/1708.07120), without a cycle of the momentum.
    Rice et al. 2020, "Overfitting in adversarially robust deep learning" (https://arxiv.org/abs/2002.11569): piecewise
    decay by 10 at 1/2 and 3/4 of the epochs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.optim import SGD
from torch.optim.lr_scheduler import CosineAnnealingLR, LRScheduler, MultiStepLR, OneCycleLR

from rnas.registry import Registry
from rnas.training.config import ScheduleConfig

__all__ = ["SCHEDULES", "course"]

#: name -> scheduler of an optimiser, the settings, and the number of steps in all, at least 1
SCHEDULES: Registry[Callable[[SGD, ScheduleConfig, int], LRScheduler]] = Registry("schedule")


def course(settings: ScheduleConfig, rate: float, steps: int, done: int) -> tuple[list[float], dict[str, Any]]:
    """How a schedule runs at the start of a training.

    Args:
        settings: the schedule.
        rate: its highest rate.
        steps: of the training, at least 1.
        done: steps to look at, at most all.

    Returns:
        The rates of these steps and of the one after, and the state of the scheduler then.
    """
    sgd = SGD([torch.zeros(1, requires_grad=True)], lr=rate)
    scheduler = SCHEDULES[settings.name](sgd, settings, max(1, steps))
    rates = [float(sgd.param_groups[0]["lr"])]
    for _ in range(done):
        sgd.step()
        scheduler.step()
        rates.append(float(sgd.param_groups[0]["lr"]))
    return rates, scheduler.state_dict()


@SCHEDULES.register("cosine")
def cosine(sgd: SGD, settings: ScheduleConfig, steps: int) -> LRScheduler:  # noqa: ARG001 - one signature for all
    return CosineAnnealingLR(sgd, T_max=steps)


@SCHEDULES.register("one_cycle")
def one_cycle(sgd: SGD, settings: ScheduleConfig, steps: int) -> LRScheduler:
    # torch divides by the length of each half: both need a step at least, so the peak lies inside.
    steps = max(steps, 3)
    peak = min(max(round(settings.warmup * steps), 1), steps - 2)
    return OneCycleLR(
        sgd,
        max_lr=sgd.param_groups[0]["lr"],
        total_steps=steps,
        pct_start=(peak + 1) / steps,
        anneal_strategy="linear",
        cycle_momentum=False,
    )


@SCHEDULES.register("piecewise")
def piecewise(sgd: SGD, settings: ScheduleConfig, steps: int) -> LRScheduler:
    milestones = [round(part * steps) for part in settings.milestones]
    return MultiStepLR(sgd, milestones, gamma=1 / settings.divisor)
