"""The moving average of weights and statistics is the sum that defines it, and of use after few steps, too."""

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

import rnas
from rnas.config import Distance, PgdConfig
from rnas.networks import zoo
from rnas.run.opening import open_run
from rnas.training import train
from rnas.training.config import TrainingConfig
from rnas.training.state import moving_average
from rnas.training.validation import accuracy


def decay_at(step: int, decay: float) -> float:
    """TensorFlow's: min(decay, (1 + num_updates) / (10 + num_updates))."""
    return min(decay, (1 + step) / (10 + step))


def test_the_average_is_the_explicit_sum() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2)).double()
    average = moving_average(network, 0.3)
    history = []
    for _ in range(6):
        with torch.no_grad():
            for parameter in network.parameters():
                parameter.add_(torch.randn_like(parameter))
        network.train()(torch.rand(4, 1, 5, 5, dtype=torch.float64))
        average.update_parameters(network)
        history.append({name: value.clone() for name, value in network.state_dict().items()})
    decays = [0.0, *(decay_at(step, 0.3) for step in range(1, 6))]
    assert decays[1] < decays[2] < decays[4] == decays[5] == 0.3  # both terms of the minimum take part
    shares = [(1 - decays[step]) * math.prod(decays[step + 1 :]) for step in range(6)]
    assert abs(sum(shares) - 1) < 1e-12
    found = average.module.state_dict()
    for name in ("0.weight", "0.bias", "1.weight", "1.bias", "1.running_mean", "1.running_var"):
        expected = torch.stack([share * state[name] for share, state in zip(shares, history, strict=True)]).sum(dim=0)
        torch.testing.assert_close(found[name], expected)
        assert not torch.equal(found[name], history[-1][name])


class Weight(nn.Module):
    """One weight in float64."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros((), dtype=torch.float64))


def averages(weights: list[float], decay: float) -> list[float]:
    """The average after each step of a weight that takes these values."""
    network = Weight()
    average = moving_average(network, decay)
    found = []
    for weight in weights:
        network.weight.data.fill_(weight)
        average.update_parameters(network)
        found.append(float(average.module.state_dict()["weight"]))
    return found


def test_constant_weights_are_their_average() -> None:
    assert averages([3.0] * 20, 0.99) == pytest.approx([3.0] * 20, rel=1e-14)


def test_the_lag_behind_weights_that_grow_evenly() -> None:
    """While d = (1 + t) / (10 + t), the recurrence lag(t) = d (lag(t - 1) + 1), lag(0) = 0, has this solution."""
    found = averages([float(step) for step in range(200)], 0.999)
    lags = [step - value for step, value in enumerate(found)]
    assert lags == pytest.approx([(step + 1) / 10 - 1 / math.comb(step + 10, 9) for step in range(200)], abs=1e-12)
    # At a constant decay the lag ends at d / (1 - d).
    assert 999 - averages([float(step) for step in range(1000)], 0.9)[-1] == pytest.approx(0.9 / 0.1, rel=1e-12)


def test_the_average_of_a_short_training_is_about_as_accurate_as_its_last_weights(tmp_path: Path) -> None:
    """54 steps; at a constant decay the random first weights would keep a share of 0.99^53 = 59%."""
    data = rnas.data.load("digits", limit=1000)
    config = TrainingConfig(
        objective="standard",
        attack=PgdConfig(eps=Distance(0.05), step_size=Distance(0.05), steps=1),
        epochs=9,
        batch_size=160,
        learning_rate=0.1,
    )
    accuracies = {}
    for name, decay in (("plain", None), ("averaged", 0.99)):
        torch.manual_seed(0)
        network = zoo.build("resnet18", 10, in_channels=1, channels=4)
        with open_run(tmp_path / name, "train", {}, seed=0, device="cpu") as run:
            train(network, data, replace(config, average_decay=decay), run)
        network.load_state_dict(load_file(tmp_path / name / "weights.safetensors"))
        accuracies[name] = accuracy(network, data.test.floats(), data.test.labels)
    assert accuracies["plain"] > 0.8
    assert accuracies["averaged"] > accuracies["plain"] - 0.05
