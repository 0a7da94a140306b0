"""Progress of an evaluation: it never goes back, says how far it is within a batch, and ends when all is done."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from rnas.commands import attack_progress as module
from rnas.config import Distance
from rnas.evaluation import ATTACKS, EvaluationConfig, evaluate


class Fake:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.total, self.told = 0, [0]
        self.names: list[str] = []

    def update(self, done: int, now: str = "", **_: float | str) -> None:
        self.told.append(done)
        if now not in self.names:
            self.names.append(now)


@pytest.fixture
def reporter(monkeypatch: pytest.MonkeyPatch) -> Fake:
    fake = Fake()

    @contextmanager
    def reporting(title: str, total: int, *, unit: str) -> Iterator[Fake]:
        assert (title, unit) == ("attacking mine", "passes")
        fake.total = total
        yield fake

    monkeypatch.setattr(module, "reporting", reporting)
    monkeypatch.setattr(module, "INTERVAL", -1.0)  # every pass is told
    return fake


def problem() -> tuple[nn.Module, Tensor, Tensor]:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(36, 5))
    images = torch.rand(10, 1, 6, 6)
    return model, images, model(images).argmax(dim=1)


def test_it_grows_within_batches_to_the_end(reporter: Fake, tmp_path: Path) -> None:
    model, images, labels = problem()
    attacks = ["fgsm", "pgd20", "pgd5x3_margin", "cw", "square", "apgd", "corruptions"]
    settings = EvaluationConfig(
        attacks=attacks, batch_size=4, cw_steps=7, square_queries=50, apgd_steps=5, eps=Distance(1e-4)
    )
    for cached in (False, True):
        with module.attack_progress("mine", model, settings, 10) as progress:
            evaluate(model, images, labels, settings=settings, progress=progress, folder=tmp_path)
        # clean, checks, FGSM, PGD with 20 steps, with 3 x 5, C&W, Square in 3 batches; APGD in 1; 55 corruptions in 1
        assert reporter.total == 3 + 130 + 3 * (1 + 21 + 18 + 7 + 50) + 50 + 55
        assert reporter.told == sorted(reporter.told)
        assert reporter.told[-1] == reporter.total
        assert len(set(reporter.told)) > (5 if cached else 300)
        assert not model._forward_hooks
        expected = ["Clean", "sanity checks", *(ATTACKS[name].title for name in attacks), ""]
        # Of what is there already only the end is told.
        assert reporter.names == [title for title in expected if not (cached and title == "FGSM")]
        reporter.told, reporter.names = [0], []


@pytest.mark.parametrize("version", ["autoattack", "autoattack_rand"])
def test_autoattack_takes_about_as_many_passes_as_planned(version: str) -> None:
    """On a model that withstands: neither a quarter fewer, nor more."""
    model, images, labels = problem()
    passes = [0]
    model.register_forward_hook(lambda *_: passes.__setitem__(0, passes[0] + 1))
    settings = EvaluationConfig(attacks=[version], images=6, autoattack_images=3)
    planned = module.planned_passes(settings, 10)
    evaluate(model, images, labels, eps=1e-4, settings=settings)
    assert 0.75 * sum(planned.values()) < passes[0] <= sum(planned.values())
