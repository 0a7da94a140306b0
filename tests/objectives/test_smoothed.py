"""Objectives for smoothed models and defensive distillation: losses by hand, what they hide, and runs that go on."""

from __future__ import annotations

import importlib
import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from sklearn.datasets import load_digits
from tests.refusals import Refused
from torch import Tensor, nn
from torch.nn import functional as F

from rnas.commands import TrainCommand, run_training
from rnas.config import Distance
from rnas.data import DataConfig
from rnas.errors import ModelError, RunError
from rnas.evaluation import evaluate
from rnas.models.spec import load_network
from rnas.networks.config import NetworkConfig
from rnas.objectives import OBJECTIVES, ObjectiveConfig
from rnas.objectives.config import DistillationConfig, GaussianConfig, SmoothAdvConfig
from rnas.run.directory import Run
from rnas.training.config import TrainingConfig

SIGMA = 0.3


def linear(classes: int = 2, seed: int = 0) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Flatten(), nn.Linear(12, classes)).double()


def batch(count: int = 6, classes: int = 2) -> tuple[Tensor, Tensor]:
    images = 0.4 + 0.2 * torch.rand(count, 3, 2, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    return images, torch.arange(count) % classes


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(3)


def test_gaussian_is_the_cross_entropy_under_noise_of_its_deviation() -> None:
    """On one pixel with logits (0, 1000 x) and x = 0 the loss is 1000 max(e, 0): 1000 sigma / sqrt(2 pi) on average."""
    objective = OBJECTIVES["gaussian"](ObjectiveConfig(gaussian=GaussianConfig(sigma=Distance(SIGMA))))
    model = nn.Sequential(nn.Flatten(), nn.Linear(1, 2, bias=False)).double()
    model[1].weight = nn.Parameter(torch.tensor([[0.0], [1000.0]], dtype=torch.float64))
    images, labels = torch.zeros(20_000, 1, 1, 1, dtype=torch.float64), torch.zeros(20_000, dtype=torch.int64)
    loss, logits = objective(model, model, images, labels, generator())
    noise = logits.detach()[:, 1] / 1000
    assert float(noise.std()) == pytest.approx(SIGMA, rel=5 / math.sqrt(2 * len(noise)))
    # The deviation of max(e, 0) is sigma sqrt(1/2 - 1/(2 pi)).
    bound = 5 * SIGMA * math.sqrt((0.5 - 0.5 / math.pi) / len(noise))
    assert float(loss.detach()) / 1000 == pytest.approx(SIGMA / math.sqrt(2 * math.pi), abs=bound)
    again, _ = objective(model, model, images, labels, generator())
    assert torch.equal(loss, again)


def test_smooth_adv_of_a_linear_model_takes_the_shortest_way_to_the_boundary() -> None:
    """The mean softmax of two classes falls along the difference of the weights, so x~ is eps along it."""
    eps, model = 0.07, linear()
    images, labels = batch()
    config = SmoothAdvConfig(sigma=Distance(SIGMA), draws=3, eps=Distance(eps), steps=4)
    loss, logits = OBJECTIVES["smooth_adv"](ObjectiveConfig(smooth_adv=config))(
        model, model, images, labels, generator()
    )
    layer = model[1]
    assert isinstance(layer, nn.Linear)
    away = (layer.weight[1] - layer.weight[0]).detach()
    towards = (1 - 2 * labels).unsqueeze(1) * away / away.norm()
    adversarial = images + eps * towards.view_as(images)
    assert adversarial.min() > 0
    assert adversarial.max() < 1
    source = generator()
    noise = SIGMA * torch.stack([torch.randn(images.shape, generator=source, dtype=torch.float64) for _ in range(3)])
    seen = torch.stack([model(adversarial + drawn) for drawn in noise])
    expected = sum(F.cross_entropy(drawn, labels) for drawn in seen) / 3
    torch.testing.assert_close(loss, expected)
    torch.testing.assert_close(logits.softmax(dim=1), seen.softmax(dim=2).mean(dim=0))


def test_smooth_adv_attacks_the_mean_softmax_of_what_it_is_given() -> None:
    """In evaluation mode, with the noise of the loss; not the mean of losses, whose gradient has another direction."""
    images, labels = batch(classes=3)
    torch.manual_seed(4)
    attacked = nn.Sequential(nn.Flatten(), nn.BatchNorm1d(12), nn.Linear(12, 8), nn.Tanh(), nn.Linear(8, 3)).double()
    model, seen = linear(3), []
    model.register_forward_hook(lambda _module, inputs, _output: seen.append(inputs[0].detach()))
    config = SmoothAdvConfig(sigma=Distance(1), draws=2, eps=Distance("0.05"), steps=1)
    OBJECTIVES["smooth_adv"](ObjectiveConfig(smooth_adv=config))(model, attacked, images, labels, generator())
    source = generator()
    noise = [torch.randn(images.shape, generator=source, dtype=torch.float64) for _ in range(2)]
    assert attacked.training
    attacked.eval()
    shown = images.clone().requires_grad_()
    likelihood = sum(attacked(shown + drawn).softmax(dim=1).gather(1, labels.unsqueeze(1)) for drawn in noise)
    assert isinstance(likelihood, Tensor)
    (slope,) = torch.autograd.grad(-likelihood.log().sum(), shown)
    adversarial = images + 0.05 * slope / slope.flatten(1).norm(dim=1).view(-1, 1, 1, 1)
    for drawn, taken in zip(noise, seen, strict=True):
        torch.testing.assert_close(taken, adversarial + drawn)


def test_distillation_without_a_teacher_is_the_cross_entropy_at_its_temperature() -> None:
    model, (images, labels) = linear(4), batch(classes=4)
    config = ObjectiveConfig(defensive_distillation=DistillationConfig(temperature=7))
    loss, logits = OBJECTIVES["defensive_distillation"](config)(model, model, images, labels, generator())
    expected = -(model(images) / 7).log_softmax(dim=1).gather(1, labels.unsqueeze(1)).mean()
    torch.testing.assert_close(loss, expected)
    torch.testing.assert_close(logits, model(images))


TEACHERS = """
import torch
from torch import nn
def teacher(classes=3):
    model = nn.Sequential(nn.Flatten(), nn.Linear(12, classes), nn.Dropout(0.9))
    model[1].weight, model[1].bias = nn.Parameter(torch.zeros(classes, 12)), nn.Parameter(torch.arange(classes).float())
    return model.train()
def other():
    return teacher(4)
"""


@pytest.fixture
def teachers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("rnas_test_teachers.py").write_text(TEACHERS)


def distilled(teacher: str, temperature: float = 2) -> Any:
    config = DistillationConfig(teacher=f"rnas_test_teachers:{teacher}", temperature=temperature)
    return OBJECTIVES["defensive_distillation"](ObjectiveConfig(defensive_distillation=config))


@pytest.mark.usefixtures("teachers")
def test_a_student_learns_the_soft_labels_of_its_teacher_by_hand() -> None:
    """Logits (0, 1, 2) at T = 2 are probabilities proportional to (1, e^0.5, e); the student says (0, 0, a) at T."""
    model, (images, labels) = linear(3).float(), batch(classes=3)
    layer = model[1]
    assert isinstance(layer, nn.Linear)
    layer.weight, layer.bias = nn.Parameter(torch.zeros(3, 12)), nn.Parameter(torch.tensor([0.0, 0.0, 5.0]))
    objective = distilled("teacher")
    loss, logits = objective(model, model, images.float(), labels, generator())
    weights = [1, math.exp(0.5), math.exp(1)]
    logs = [-math.log(2 + math.exp(2.5))] * 2 + [2.5 - math.log(2 + math.exp(2.5))]
    expected = -sum(weight * log for weight, log in zip(weights, logs, strict=True)) / sum(weights)
    assert float(loss.detach()) == pytest.approx(expected, rel=1e-5)
    assert logits[0].tolist() == [0, 0, 5]
    loss.backward()
    assert all(parameter.grad is None for parameter in objective.teacher.parameters())
    assert layer.bias.grad is not None
    assert objective.inputs.keys() == {"teacher"}
    assert objective.inputs != distilled("other").inputs


@pytest.mark.usefixtures("teachers")
def test_a_teacher_of_other_classes_or_images_is_told_in_one_line() -> None:
    model, (images, labels) = linear(3).float(), batch(classes=3)
    name = r"^the teacher rnas_test_teachers:"
    with pytest.raises(ModelError, match=f"{name}other tells 4 classes apart, the network 3$"):
        distilled("other")(model, model, images.float(), labels, generator())
    wide = nn.Sequential(nn.Flatten(), nn.Linear(27, 3))
    with pytest.raises(ModelError, match=rf"{name}teacher: the model cannot take images of shape \(3, 3, 3\)"):
        distilled("teacher")(wide, wide, torch.rand(2, 3, 3, 3), labels[:2], generator())


SETTINGS = {
    "gaussian": ObjectiveConfig(gaussian=GaussianConfig(sigma=Distance("0.1"))),
    "smooth_adv": ObjectiveConfig(smooth_adv=SmoothAdvConfig(draws=2, steps=2)),
    "defensive_distillation": ObjectiveConfig(
        defensive_distillation=DistillationConfig(teacher="rnas_test_digits:teacher", temperature=5)
    ),
}
DIGITS = """
import torch
from torch import nn
def teacher():
    torch.manual_seed(SEED)
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
"""


@pytest.fixture
def taught(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Writes the module of a teacher of digits, whose weights are those of a seed."""
    monkeypatch.chdir(tmp_path)

    def write(seed: int) -> None:
        # Of another length for each seed: compiled modules are told apart by their second and their length.
        Path("rnas_test_digits.py").write_text(DIGITS.replace("SEED", str(10**seed)))
        importlib.invalidate_caches()
        sys.modules.pop("rnas_test_digits", None)

    write(1)
    return write


def train_briefly(path: Path, objective: str, settings: ObjectiveConfig) -> dict[str, Tensor]:
    """Three epochs of four steps; the weights at their end."""
    config = TrainingConfig(**vars(settings), objective=objective, epochs=3, batch_size=20, learning_rate=0.1)
    network = NetworkConfig(name="resnet18", channels=2)
    command = TrainCommand(
        out=str(path), data=DataConfig(limit=80), network=network, training=config, checkpoint_every=2, threads=1
    )
    return load_network(run_training(command)).state_dict()


@pytest.mark.parametrize("objective", SETTINGS)
def test_a_killed_training_ends_as_an_uninterrupted_one(
    objective: str, taught: Callable[[int], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = train_briefly(Path("whole"), objective, SETTINGS[objective])
    log = Run.log

    def kill(run: Run, kind: str, *, step: int, **values: Any) -> None:
        if step == 7:
            raise KeyboardInterrupt
        log(run, kind, step=step, **values)

    monkeypatch.setattr(Run, "log", kill)
    with pytest.raises(KeyboardInterrupt):
        train_briefly(Path("killed"), objective, SETTINGS[objective])
    monkeypatch.setattr(Run, "log", log)
    if objective == "defensive_distillation":
        taught(2)
        with pytest.raises(RunError, match=r"^killed was begun with other teacher than there are now; choose another"):
            train_briefly(Path("killed"), objective, SETTINGS[objective])
        taught(1)
    resumed = train_briefly(Path("killed"), objective, SETTINGS[objective])
    assert all(torch.equal(resumed[name], value) for name, value in whole.items())


@pytest.mark.usefixtures("taught")
def test_what_cannot_be_learned_from_is_told_before_anything_is_begun(refused: Refused) -> None:
    train_it = "train --data digits --network.name resnet18 --out new --training.objective"
    key = "training.defensive_distillation"
    for settings, says in (
        (f"defensive_distillation --{key}.teacher absent", f"{key}.teacher: absent holds no trained network"),
        (f"defensive_distillation --{key}.teacher rnas_test_digits:no", f"{key}.teacher: rnas_test_digits:no: "),
        (f"defensive_distillation --{key}.temperature 0.5", f"{key}.temperature: expected a number >= 1, got 0.5"),
        ("gaussian --training.gaussian.sigma 0", "training.gaussian.sigma: expected a number > 0, got 0"),
        ("smooth_adv --training.smooth_adv.sigma 0", "training.smooth_adv.sigma: expected a number > 0, got 0"),
        ("smooth_adv --training.smooth_adv.draws 0", "training.smooth_adv.draws: expected an integer >= 1, got 0"),
        ("smooth_adv --training.smooth_adv.steps 0", "training.smooth_adv.steps: expected an integer >= 1, got 0"),
        ("gausian", "no objective is called 'gausian'; did you mean 'gaussian'?"),
    ):
        refused(f"{train_it} {settings}", says)


@pytest.fixture(scope="module")
def digits() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """1,500 images to train with and their labels, 200 to attack and theirs."""
    found = load_digits()
    images = torch.tensor(found.images / 16, dtype=torch.float32).unsqueeze(1)
    labels = torch.tensor(found.target)
    return images[:1500], labels[:1500], images[1500:1700], labels[1500:1700]


def trained(objective: Any, images: Tensor, labels: Tensor) -> nn.Module:
    """A small network after 400 steps of Adam on all images."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Flatten(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))
    adam = torch.optim.Adam(network.parameters(), lr=0.01)
    for _ in range(400):
        adam.zero_grad()
        objective(network, network, images, labels, generator())[0].backward()
        adam.step()
    return network.eval()


def test_the_sanity_checks_see_that_a_distilled_network_hides_its_gradients(
    digits: tuple[Tensor, Tensor, Tensor, Tensor],
) -> None:
    """And do not doubt an honest network. The margin of the logits breaks most of what the cross-entropy cannot."""
    images, labels, attacked, truth = digits
    honest = trained(OBJECTIVES["standard"](ObjectiveConfig()), images, labels)
    config = ObjectiveConfig(defensive_distillation=DistillationConfig(temperature=40))
    objective = OBJECTIVES["defensive_distillation"](config)
    teacher = trained(objective, images, labels)
    objective.teacher = teacher  # type: ignore[attr-defined]
    student = trained(objective, images, labels)
    accuracies = {}
    for name, network in (("honest", honest), ("teacher", teacher), ("student", student)):
        result = evaluate(network, attacked, truth, ["pgd20", "pgd20_margin"], eps=0.1)
        doubts = {check.name for check in result.sanity if not check.passed}
        assert doubts == (set() if name == "honest" else {"gradients"}), name
        accuracies[name] = [result[attack].accuracy for attack in ("clean", "pgd20", "pgd20_margin")]
    assert accuracies["honest"][1] == pytest.approx(accuracies["honest"][2], abs=0.05)
    for name in ("teacher", "student"):
        clean, pgd, margin = accuracies[name]
        assert clean > 0.85
        assert pgd > accuracies["honest"][1] + 0.4
        assert margin < pgd - 0.25
