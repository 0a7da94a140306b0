"""The learning rate of each step against its closed form."""

import math

import pytest
import torch
from torch import nn

from rnas.config import WeightConfig
from rnas.training.config import ScheduleConfig
from rnas.training.optimiser import WeightOptimiser
from rnas.training.schedules import SCHEDULES

RATE = 0.4


def rates(schedule: ScheduleConfig | None, steps: int) -> list[float]:
    """The rate of each step of a training."""
    layer = nn.Linear(1, 1)
    optimiser = WeightOptimiser(layer, WeightConfig(learning_rate=RATE), steps, schedule=schedule)
    seen = []
    for _ in range(steps):
        seen.append(optimiser.learning_rate)
        optimiser.step(layer(torch.ones(1, 1)).sum())
    return seen


@pytest.mark.parametrize("schedule", [None, ScheduleConfig("cosine")])
def test_cosine(schedule: ScheduleConfig | None) -> None:
    expected = [RATE * (1 + math.cos(math.pi * step / 20)) / 2 for step in range(20)]
    assert rates(schedule, 20) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("warmup", [0.05, 0.3, 0.9])
def test_one_cycle(warmup: float) -> None:
    steps, peak, first, last = 20, round(20 * warmup), RATE / 25, RATE / 250_000
    up = [first + (RATE - first) * step / peak for step in range(peak)]
    down = [RATE + (last - RATE) * (step - peak) / (steps - 1 - peak) for step in range(peak, steps)]
    assert rates(ScheduleConfig("one_cycle", warmup=warmup), steps) == pytest.approx(up + down, abs=1e-9)


def test_piecewise() -> None:
    schedule = ScheduleConfig("piecewise", milestones=[0.25, 0.8], divisor=4)
    expected = [RATE] * 5 + [RATE / 4] * 11 + [RATE / 16] * 4
    assert rates(schedule, 20) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("name", list(SCHEDULES))
@pytest.mark.parametrize("steps", [1, 2, 3])
@pytest.mark.parametrize("warmup", [0.01, 0.99])
def test_a_training_of_hardly_any_steps(name: str, steps: int, warmup: float) -> None:
    seen = rates(ScheduleConfig(name, warmup=warmup), steps)
    assert all(0 < rate <= RATE for rate in seen[: max(1, steps - 1)])
    assert all(0 <= rate <= RATE for rate in seen)
