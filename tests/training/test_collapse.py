"""Catastrophic overfitting is told from training that goes well or badly."""

import math

import pytest
import torch
from torch import Tensor, nn

from rnas.config import Distance, PgdConfig
from rnas.errors import DivergenceError
from rnas.training.collapse import CollapseCheck

EPS = 0.2
ATTACK = PgdConfig(eps=Distance(EPS), step_size=Distance(EPS / 10), steps=10)


COUNT = 100
LABELS = torch.arange(COUNT) % 2
IMAGES = torch.full((COUNT, 1, 1, 1), 0.5)


def logits(margin: Tensor) -> Tensor:
    """Two logits whose difference in favour of the label is twice the margin."""
    return torch.stack([margin, -margin], dim=1) * (1 - 2 * LABELS).unsqueeze(1)


class Masked(nn.Module):
    """Right at each image and at the corners FGSM reaches, wrong half-way, where PGD stops: what a collapse looks like.

    Args:
        wrong: how many images it classifies wrongly everywhere.
    """

    def __init__(self, wrong: int = 0) -> None:
        super().__init__()
        self.sign = torch.where(torch.arange(COUNT) < wrong, -1.0, 1.0)

    def forward(self, images: Tensor) -> Tensor:
        return logits(self.sign * torch.cos(2 * math.pi * (images - IMAGES).flatten() / EPS + 1e-4))


class Sure(nn.Module):
    """Right on so many images, whatever the attack."""

    def __init__(self, right: int) -> None:
        super().__init__()
        self.margin = torch.where(torch.arange(COUNT) < right, 1.0, -1.0)

    def forward(self, images: Tensor) -> Tensor:
        return logits(self.margin + 1e-3 * images.flatten())


@pytest.fixture
def check() -> CollapseCheck:
    return CollapseCheck(IMAGES, LABELS, ATTACK, least=0.1, seed=0)


def test_a_collapse_is_told_in_words(check: CollapseCheck) -> None:
    assert check.update(Sure(70)) == pytest.approx({"pgd": 0.7, "fgsm": 0.7})
    assert check.update(Sure(40)) == pytest.approx({"pgd": 0.4, "fgsm": 0.4})
    with pytest.raises(DivergenceError) as error:
        check.update(Masked())
    assert str(error.value) == (
        "catastrophic overfitting: on 100 training images the accuracy under PGD fell from 70% to 0% "
        "while that under FGSM rose from 70% to 100%"
    )
    # The best is still that of the network that withstood PGD, also after a restart.
    again = CollapseCheck(IMAGES, LABELS, ATTACK, least=0.1, seed=0)
    again.restore(check.state())
    with pytest.raises(DivergenceError, match="from 70% to 0%"):
        again.measure(Masked())


def test_what_is_no_collapse(check: CollapseCheck) -> None:
    check.measure(Masked())  # nothing was withstood before: no fall
    check.update(Sure(64))  # within the luck of a coin, 0.5 + 3 * 0.05
    check.update(Masked())
    check.update(Sure(70))
    check.update(Sure(0))  # both fell: training went wrong, but not this way
    check.update(Masked(wrong=30))  # FGSM did not rise above 70%
    with pytest.raises(DivergenceError):
        check.update(Masked(wrong=29))


def test_it_can_be_switched_off(check: CollapseCheck) -> None:
    check.least = 0.0
    check.update(Sure(70))
    assert check.update(Masked()) == {"pgd": 0.0, "fgsm": 1.0}
