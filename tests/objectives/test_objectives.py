"""Objectives against closed forms on linear models, and against the losses they become at special values."""

import copy
import math

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rnas.config import Distance, PgdConfig
from rnas.objectives import OBJECTIVES, Objective, ObjectiveConfig
from rnas.objectives.config import (
    CrownIbpConfig,
    DistillationConfig,
    FastAtConfig,
    GaussianConfig,
    IbpConfig,
    MartConfig,
    SmoothAdvConfig,
    TradesConfig,
)
from rnas.objectives.mart import log_rest

EPS = 0.1
ATTACK = PgdConfig(eps=Distance(EPS), step_size=Distance(0.05), steps=8)


def linear(classes: int = 2) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(12, classes)).double()


def batch(count: int = 6, classes: int = 2) -> tuple[Tensor, Tensor]:
    """Images so far from 0 and 1 that a ball of radius EPS lies between."""
    generator = torch.Generator().manual_seed(1)
    images = 0.2 + 0.6 * torch.rand(count, 3, 2, 2, generator=generator, dtype=torch.float64)
    return images, torch.arange(count) % classes


def loss_of(objective: Objective, model: nn.Module, images: Tensor, labels: Tensor) -> tuple[float, Tensor]:
    loss, logits = objective(model, model, images, labels, torch.Generator().manual_seed(3))
    return float(loss.detach()), logits.detach()


def margins(model: nn.Sequential, images: Tensor, labels: Tensor) -> tuple[Tensor, float]:
    """The logit of the label minus the other one, and how far EPS can move it."""
    logits = model(images).detach()
    weight = model[1].weight
    assert isinstance(weight, Tensor)
    index = labels.unsqueeze(1)
    gap = (logits.gather(1, index) - logits.gather(1, 1 - index)).squeeze(1)
    return gap, EPS * float((weight[0] - weight[1]).detach().abs().sum())


def binary_divergence(margin: Tensor, other: Tensor) -> Tensor:
    """KL between two coins whose log odds are given."""
    p = torch.sigmoid(margin)
    return p * (F.logsigmoid(margin) - F.logsigmoid(other)) + (1 - p) * (F.logsigmoid(-margin) - F.logsigmoid(-other))


def test_trades_of_a_linear_model() -> None:
    """KL(p(x) || p(x')) is convex in the log odds of x': its maximum in the box is at one of the two ends."""
    model, (images, labels) = linear(), batch()
    margin, reach = margins(model, images, labels)
    beta = 3.5
    objective = OBJECTIVES["trades"](ObjectiveConfig(attack=ATTACK, trades=TradesConfig(beta=beta)))
    loss, logits = loss_of(objective, model, images, labels)
    index = labels.unsqueeze(1)
    reached = (logits.gather(1, index) - logits.gather(1, 1 - index)).squeeze(1) - margin
    torch.testing.assert_close(reached.abs(), torch.full_like(reached, reach))
    expected = -F.logsigmoid(margin).mean() + beta * binary_divergence(margin, margin + reached).mean()
    assert loss == pytest.approx(float(expected), rel=1e-9)


def test_mart_of_a_linear_model() -> None:
    model, (images, labels) = linear(), batch()
    margin, reach = margins(model, images, labels)
    objective = OBJECTIVES["mart"](ObjectiveConfig(attack=ATTACK, mart=MartConfig(beta=2.5)))
    worst = margin - reach
    # With two classes 1 - max over k != y of p_k is p_y.
    boosted = -2 * F.logsigmoid(worst)
    weighted = 2.5 * binary_divergence(margin, worst) * torch.sigmoid(-margin)
    assert loss_of(objective, model, images, labels)[0] == pytest.approx(float((boosted + weighted).mean()), rel=1e-9)


def test_pgd_at_of_a_linear_model() -> None:
    model, (images, labels) = linear(), batch()
    margin, reach = margins(model, images, labels)
    loss, _ = loss_of(OBJECTIVES["pgd_at"](ObjectiveConfig(attack=ATTACK)), model, images, labels)
    assert loss == pytest.approx(float(-F.logsigmoid(margin - reach).mean()), rel=1e-9)


def test_fast_at_of_a_linear_model() -> None:
    """A step of 2 eps ends in the corner from any start; one of 1.25 eps does in 5 of 8 pixels."""
    model, (images, labels) = linear(), batch()
    margin, reach = margins(model, images, labels)
    objective = OBJECTIVES["fast_at"](ObjectiveConfig(attack=ATTACK, fast_at=FastAtConfig(step=2)))
    expected = -F.logsigmoid(margin - reach).mean()
    assert loss_of(objective, model, images, labels)[0] == pytest.approx(float(expected), rel=1e-9)

    seen = []
    model.register_forward_hook(lambda _module, inputs, _output: seen.append(inputs[0].detach()))
    images, labels = batch(1000)
    loss_of(OBJECTIVES["fast_at"](ObjectiveConfig(attack=ATTACK)), model, images, labels)
    moved = (seen[-1] - images).abs() / EPS
    assert moved.min() >= 0.25 - 1e-9
    assert moved.max() <= 1 + 1e-9
    corners = float((moved > 1 - 1e-9).double().mean())
    deviation = math.sqrt(0.625 * 0.375 / moved.numel())
    assert abs(corners - 0.625) < 5 * deviation


def test_mart_starts_beside_the_image() -> None:
    """From normal noise of deviation 0.001, not anywhere in the ball."""
    model, (images, labels) = linear(), batch(400)
    seen = []
    model.register_forward_hook(lambda _module, inputs, _output: seen.append(inputs[0].detach()))
    loss_of(OBJECTIVES["mart"](ObjectiveConfig(attack=ATTACK)), model, images, labels)
    noise = (seen[0] - images) / 0.001
    assert abs(float(noise.mean())) < 5 / math.sqrt(noise.numel())
    assert float(noise.std()) == pytest.approx(1, abs=5 / math.sqrt(2 * noise.numel()))
    assert float(noise.abs().amax()) > 3  # of a uniform one of deviation 1 nothing is beyond 1.74


@pytest.mark.parametrize("name", ["ibp", "crown_ibp"])
def test_training_on_bounds_of_a_linear_model(name: str) -> None:
    """All bounds are exact there: the margin minus the reach, which rises from 0 as kappa falls from 1 to 0.25."""
    model, (images, labels) = linear(), batch()
    margin, reach = margins(model, images, labels)
    settings = {"warmup": 0.2, "ramp": 0.4, "kappa": 0.25}
    own: dict[str, IbpConfig] = {"ibp": IbpConfig(**settings), "crown_ibp": CrownIbpConfig(**settings, beta=0.3)}
    objective = OBJECTIVES[name](ObjectiveConfig(attack=ATTACK, **{name: own[name]}))  # type: ignore[arg-type]
    clean = -F.logsigmoid(margin).mean()
    for progress, risen in ((0.0, 0.0), (0.2, 0.0), (0.3, 0.25), (0.6, 1.0), (0.9, 1.0)):
        objective.progress = progress
        kappa = 1 - 0.75 * risen
        expected = kappa * clean - (1 - kappa) * F.logsigmoid(margin - risen * reach).mean()
        loss, logits = loss_of(objective, model, images, labels)
        assert loss == pytest.approx(float(expected), rel=1e-9)
        chosen = logits.gather(1, labels.unsqueeze(1)) - logits.gather(1, 1 - labels.unsqueeze(1))
        torch.testing.assert_close(chosen.squeeze(1), margin - risen * reach)


def test_crown_ibp_weighs_its_bounds() -> None:
    """The worst logits are beta times those of linear bounds and 1 - beta times those of intervals."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(12, 8), nn.ReLU(), nn.Linear(8, 3)).double()
    images, labels = batch(classes=3)
    ends = []
    for beta in (0.0, 1.0, 0.25):
        objective = OBJECTIVES["crown_ibp"](ObjectiveConfig(attack=ATTACK, crown_ibp=CrownIbpConfig(beta=beta)))
        ends.append(loss_of(objective, model, images, labels)[1])
    ibp = loss_of(OBJECTIVES["ibp"](ObjectiveConfig(attack=ATTACK)), model, images, labels)[1]
    torch.testing.assert_close(ends[0], ibp)
    assert float((ends[0] - ends[1]).max()) > 0.01
    torch.testing.assert_close(ends[2], 0.75 * ends[0] + 0.25 * ends[1])


def test_bounds_in_training_use_the_statistics_of_the_clean_batch_once() -> None:
    """With no ball left the worst logits are the clean ones up to the label's; running statistics move once a step."""
    torch.manual_seed(0)
    layers = nn.Linear(12, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.Linear(4, 3)
    model = nn.Sequential(nn.Flatten(), *layers).double().train()
    images, labels = batch(classes=3)
    clean = copy.deepcopy(model)(images)
    attack = PgdConfig(eps=Distance(0))
    _, logits = loss_of(OBJECTIVES["ibp"](ObjectiveConfig(attack=attack)), model, images, labels)
    torch.testing.assert_close(logits, (clean - clean.gather(1, labels.unsqueeze(1))).detach())
    assert layers[1].num_batches_tracked == torch.tensor(1)


@pytest.mark.parametrize("mode", ["evaluation", "training"])
def test_fast_at_takes_its_gradient_in_either_mode(mode: str) -> None:
    """With a batch norm whose running statistics are not those of the batch, gradients differ in sign."""
    torch.manual_seed(0)
    norm = nn.BatchNorm1d(4)
    norm.running_mean = 3 * torch.randn(4)
    model = nn.Sequential(nn.Flatten(), nn.Linear(12, 4), norm, nn.Tanh(), nn.Linear(4, 2)).double()
    images, labels = batch()
    generator = torch.Generator().manual_seed(3)
    start = images + EPS * (2 * torch.rand(images.shape, generator=generator, dtype=torch.float64) - 1)
    start.requires_grad_()
    seer = copy.deepcopy(model).train(mode == "training")
    (gradient,) = torch.autograd.grad(F.cross_entropy(seer(start), labels), start)
    stepped = start.detach() + 1.25 * EPS * gradient.sign()
    expected = copy.deepcopy(model)(torch.min(torch.max(stepped, images - EPS), images + EPS))
    objective = OBJECTIVES["fast_at"](ObjectiveConfig(attack=ATTACK, fast_at=FastAtConfig(mode=mode)))
    attacked = copy.deepcopy(model)
    loss, logits = objective(model, attacked, images, labels, torch.Generator().manual_seed(3))
    torch.testing.assert_close(logits, expected)
    assert norm.num_batches_tracked == torch.tensor(1 if mode == "evaluation" else 2)
    assert model.training
    loss.backward()


def test_without_their_regulariser_they_are_known_losses() -> None:
    model, (images, labels) = linear(classes=4), batch(classes=4)
    config = ObjectiveConfig(attack=ATTACK, trades=TradesConfig(beta=0), mart=MartConfig(beta=0))
    clean = float(F.cross_entropy(model(images), labels).detach())
    assert loss_of(OBJECTIVES["trades"](config), model, images, labels)[0] == pytest.approx(clean, rel=1e-12)
    loss, logits = loss_of(OBJECTIVES["mart"](config), model, images, labels)
    adversarial, same = loss_of(OBJECTIVES["pgd_at"](config), model, images, labels)
    assert torch.equal(logits, same)
    probabilities = logits.softmax(dim=1)
    others = probabilities.scatter(1, labels.unsqueeze(1), 0).amax(dim=1)
    assert loss == pytest.approx(adversarial - float((1 - others).log().mean()), rel=1e-9)


def test_without_room_all_are_losses_of_clean_images() -> None:
    model, (images, labels) = linear(), batch()
    config = ObjectiveConfig(
        attack=PgdConfig(eps=Distance(0)),
        gaussian=GaussianConfig(sigma=Distance(1e-12)),
        smooth_adv=SmoothAdvConfig(sigma=Distance(1e-12), eps=Distance(0)),
        defensive_distillation=DistillationConfig(temperature=1),
    )
    clean = float(F.cross_entropy(model(images), labels).detach())
    for name in OBJECTIVES:
        loss, _ = loss_of(OBJECTIVES[name](config), model, images, labels)
        assert loss == pytest.approx((2 if name == "mart" else 1) * clean, rel=1e-9), name


def test_label_smoothing_mixes_in_the_uniform_distribution() -> None:
    model, (images, labels) = linear(classes=4), batch(classes=4)
    loss, logits = loss_of(OBJECTIVES["standard"](ObjectiveConfig(label_smoothing=0.2)), model, images, labels)
    log_p = logits.log_softmax(dim=1)
    expected = -0.8 * log_p.gather(1, labels.unsqueeze(1)).mean() - 0.2 * log_p.mean()
    assert loss == pytest.approx(float(expected), rel=1e-12)


def test_the_margin_of_mart_survives_certainty() -> None:
    """Where p_k rounds to 1, log(1 - p_k) is still what it is."""
    logits, labels = torch.tensor([[-50.0, 50.0, -60.0], [80.0, -20.0, -30.0]]), torch.tensor([0, 0])
    torch.testing.assert_close(log_rest(logits, labels), torch.tensor([-100.0, 0.0]), rtol=1e-6, atol=1e-3)


def test_the_attack_sees_what_it_is_given() -> None:
    """The weights' gradient comes of the model, the adversarial images of the other one."""
    images, labels = batch()
    model, other = linear(), linear()
    with torch.no_grad():
        for parameter in other[1].parameters():
            parameter.neg_()
    objective = OBJECTIVES["pgd_at"](ObjectiveConfig(attack=ATTACK))
    loss, _ = objective(model, other, images, labels, torch.Generator().manual_seed(0))
    margin, reach = margins(model, images, labels)
    assert float(loss.detach()) == pytest.approx(float(-F.logsigmoid(margin + reach).mean()), rel=1e-9)
