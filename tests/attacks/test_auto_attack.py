"""AutoAttack: the authors' verdicts without their side effects. It makes thousands of passes, so these are tiny."""

import functools
import logging
import sys
from types import FrameType
from typing import Any

import pyautoattack
import pytest
import torch
from torch import Tensor, nn

from rnas.attacks import auto_attack, pgd_linf


def linear(classes: int) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(9, classes)).eval()


def images(count: int) -> Tensor:
    return torch.rand(count, 1, 3, 3, generator=torch.Generator().manual_seed(1))


class Warped(nn.Module):
    """A model with something wrong about its logits."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind, self.inner = kind, linear(4)

    def forward(self, batch: Tensor) -> Tensor:
        logits: Tensor = self.inner(batch)
        if self.kind == "probabilities":
            return logits.softmax(dim=1)
        if self.kind == "random":
            return logits + 0.01 * torch.randn_like(logits)
        return logits * 0


EPS = 0.03


@functools.cache
def attacked(classes: int) -> tuple[nn.Module, Tensor, Tensor, Tensor]:
    """A model, images of which it misclassifies the first, their labels, and what AutoAttack makes of them."""
    model, clean = linear(classes), images(8)
    labels = model(clean).argmax(dim=1)
    labels[0] = (labels[0] + 1) % classes
    return model, clean, labels, auto_attack(model, clean, labels, eps=EPS, seed=3)


@pytest.mark.parametrize("classes", [4, 10])
def test_no_weaker_than_pgd_and_never_out_of_bounds(classes: int) -> None:
    (model, clean, labels, adversarial), eps = attacked(classes), EPS
    broken = model(adversarial).argmax(dim=1) != labels
    assert (adversarial - clean).abs().max() <= eps + 1e-6
    assert adversarial.min() >= 0
    assert adversarial.max() <= 1
    assert torch.equal(adversarial[~broken], clean[~broken])
    assert torch.equal(adversarial[0], clean[0])
    pgd = pgd_linf(model, clean, labels, eps=eps, step_size=eps / 4, steps=20)
    assert (broken >= (model(pgd).argmax(dim=1) != labels)).all()
    assert 1 < int(broken.sum()) < 8  # so that both cases occur
    assert all(parameter.grad is None for parameter in model.parameters())  # FAB calls backward()


def test_same_as_the_authors_code() -> None:
    """With 10 classes nothing is capped; only the side effects differ."""
    model, clean, labels, ours = attacked(10)
    with torch.random.fork_rng():
        theirs, _ = pyautoattack.AutoAttack(model, eps=EPS, seed=3).run_standard_evaluation(clean, labels)
    assert torch.equal(ours, theirs)


def test_l2_stays_in_its_ball() -> None:
    """Images of 5x5 pixels: Square's L2 version tiles the image in fifths."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(25, 5)).eval()
    clean = torch.rand(3, 1, 5, 5)
    labels = model(clean).argmax(dim=1)
    adversarial = auto_attack(model, clean, labels, eps=1.5, norm="L2")
    assert (model(adversarial).argmax(dim=1) != labels).any()
    assert (adversarial - clean).flatten(1).norm(dim=1).max() <= 1.5 + 1e-5


@pytest.mark.parametrize("version", ["rand", "plus"])
def test_other_versions(version: str) -> None:
    model, clean = linear(4), images(2)
    labels = model(clean).argmax(dim=1)
    adversarial = auto_attack(model, clean, labels, eps=0.9, version=version)
    assert (model(adversarial).argmax(dim=1) != labels).all()


def test_one_image_and_doubles() -> None:
    model, clean = linear(4).double(), images(1).double()
    labels = model(clean).argmax(dim=1)
    adversarial = auto_attack(model, clean, labels, eps=0.5)
    assert adversarial.dtype == torch.float64
    assert (adversarial - clean).abs().max() <= 0.5 + 1e-6
    assert (model(adversarial).argmax(dim=1) != labels).all()


def test_all_misclassified_is_the_identity() -> None:
    model, clean = linear(4), images(3)
    assert torch.equal(auto_attack(model, clean, (model(clean).argmax(dim=1) + 1) % 4, eps=0.5), clean)


def test_too_few_classes() -> None:
    for classes, version in ((3, "standard"), (3, "plus"), (2, "rand")):
        with pytest.raises(
            ValueError, match=f"AutoAttack {version} needs at least {classes + 1} classes, got {classes}"
        ):
            auto_attack(linear(classes), images(1), torch.zeros(1, dtype=torch.int64), eps=0.1, version=version)


def test_globals_stay_as_they_were(capfd: pytest.CaptureFixture[str]) -> None:
    """Generator, logger and tracer, and nothing is printed."""

    def tracer(_frame: FrameType, _event: str, _argument: Any) -> None:
        return None

    logger = logging.getLogger("auto-attack")
    model, clean = linear(4), images(2)
    before = torch.get_rng_state(), logger.level, list(logger.handlers), list(logger.filters), logger.propagate
    labels, previous = model(clean).argmax(dim=1), sys.gettrace()
    sys.settrace(tracer)
    try:
        auto_attack(model, clean, labels, eps=0.9)
        assert sys.gettrace() is tracer
    finally:
        sys.settrace(previous)
    after = torch.get_rng_state(), logger.level, list(logger.handlers), list(logger.filters), logger.propagate
    assert torch.equal(before[0], after[0])
    assert before[1:] == after[1:]
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("probabilities", "it seems that the output is a probability distribution"),
        ("random", "it seems to be a randomized defense"),
        ("constant", "points with zero gradient"),
    ],
)
def test_remarks_become_warnings(kind: str, message: str) -> None:
    model, clean = Warped(kind), images(2)
    labels = torch.zeros(2, dtype=torch.int64) if kind == "constant" else model(clean).argmax(dim=1)
    with pytest.warns(RuntimeWarning, match=f"AutoAttack: .*{message}") as caught:
        auto_attack(model, clean, labels, eps=0.9)
    assert all(warning.filename == __file__ for warning in caught)
