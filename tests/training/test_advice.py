"""After a divergence the setting that is at fault is named."""

from pathlib import Path

import pytest
import torch
from torch import nn

from rnas.cli import main
from rnas.config import WeightConfig
from rnas.objectives import OBJECTIVES
from rnas.objectives.config import ObjectiveConfig, TradesConfig
from rnas.training.advice import advise_weights

TRAIN = (
    "train --data digits --data.limit 20 --threads 1 --network.name resnet18 --network.channels 8 "
    "--training.batch_size 5 --training.epochs 1 --training.attack.steps 1 --training.attack.eps 0.3"
)
SEARCH = (
    "search --data digits --data.limit 40 --threads 1 --search.space nasbench201 --search.channels 2 --search.cells 1 "
    "--search.epochs 2 --search.warmup_epochs 1 --search.batch_size 5 --search.attack.steps 1 "
    "--search.constraint.images 5 --search.constraint.max_iterations 1"
)


@pytest.mark.parametrize(
    ("command", "remedy"),
    [
        (f"{TRAIN} --training.learning_rate 1e30", "a lower learning_rate or gradient_clip"),
        (
            f"{TRAIN} --training.objective trades --training.trades.beta 1e6 --training.gradient_clip 1e6",
            "a smaller trades.beta",
        ),
        (
            f"{TRAIN} --training.objective mart --training.mart.beta 1e6 --training.gradient_clip 1e6",
            "a smaller mart.beta",
        ),
        (
            f"{TRAIN} --training.objective trades --training.learning_rate 1e30",
            "a lower learning_rate or gradient_clip",
        ),
        (
            f"{TRAIN} --training.weight_decay 1e6",
            "a lower weight_decay (times learning_rate it is 1e+04: above 2 (1 + momentum) = 3.8 weights grow without "
            "end)",
        ),
        (f"{SEARCH} --search.learning_rate 1e30", "a lower learning_rate or gradient_clip"),
        (f"{SEARCH} --search.alpha_learning_rate 1e30", "a lower alpha_learning_rate"),
        (f"{SEARCH} --search.constraint.bound 1e-300", "a larger constraint.bound"),
        (
            f"{SEARCH} --search.attack.eps 1e-9 --search.attack.step_size 1e-9",
            "a number as constraint.bound, or a larger attack.eps",
        ),
        (
            f"{SEARCH} --search.algorithm random --search.shortlist.count 2 --search.shortlist.learning_rate 1e30",
            "a lower shortlist.learning_rate or gradient_clip",
        ),
    ],
)
def test_what_is_at_fault(command: str, remedy: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*command.split(), "--out", str(tmp_path / "new")]) == 2
    said = capsys.readouterr().err
    assert said.startswith("rnas: error: step ")
    assert said.endswith(f"going on from there would end here again: choose {remedy}, and another --out\n")


@pytest.mark.parametrize(
    ("momentum", "decay", "grows"), [(0.0, 1.9, False), (0.0, 2.1, True), (0.9, 3.7, False), (0.9, 3.9, True)]
)
def test_the_limit_of_the_weight_decay_is_that_of_sgd(momentum: float, decay: float, grows: bool) -> None:
    """Steps without any gradient, at a rate of 1."""
    weight = nn.Parameter(torch.ones(1, dtype=torch.float64))
    sgd = torch.optim.SGD([weight], lr=1.0, momentum=momentum, weight_decay=decay)
    for _ in range(500):
        weight.grad = torch.zeros_like(weight)
        sgd.step()
    assert (abs(float(weight.detach())) > 1) is grows
    settings = WeightConfig(learning_rate=1.0, momentum=momentum, weight_decay=decay)
    assert ("weight_decay" in advise_weights(settings)) is grows


@pytest.mark.parametrize(
    ("loss", "divergence", "beta", "at_fault"),
    [
        (2.0, 0.1, 6.0, False),
        (2.0, 0.1, 1e6, True),
        (2.0, 1e34, 1e6, True),  # their product is infinite
        (2.0, 1e30, 6.0, False),  # large without the weight
        (float("nan"), 0.1, 1e6, False),
        (float("inf"), float("inf"), 6.0, False),
    ],
)
def test_a_weight_is_at_fault_where_the_rest_is_sound(
    loss: float, divergence: float, beta: float, at_fault: bool
) -> None:
    objective = OBJECTIVES["trades"](ObjectiveConfig(trades=TradesConfig(beta=beta)))
    assert objective.fault() is None
    objective.weigh(torch.tensor(loss), "trades.beta", beta, torch.tensor(divergence))
    assert objective.fault() == ("trades.beta" if at_fault else None)
