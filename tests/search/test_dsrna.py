"""The two measures of DSRNA: the Jacobian's norm, and a radius that is really certified."""

from __future__ import annotations

import pytest
import torch
from tests.search.tiny import batch, begin
from torch import Tensor, nn

from rnas.certification.boxes import Interval, box
from rnas.certification.intervals import propagate
from rnas.certification.program import Program, interval_margins, trace
from rnas.certification.tape import Tape
from rnas.errors import ConfigError
from rnas.search.algorithm import ALGORITHMS
from rnas.search.dsrna import DsrnaConfig, certified_radius, squared_jacobian
from rnas.supernets.base import SupernetAt
from rnas.supernets.space import SPACES


def small_supernet(space: str) -> SupernetAt:
    """In evaluation mode, float64, with running statistics and weights that are not those of the start."""
    torch.manual_seed(1)
    kind = SPACES[space].path_supernet
    supernet = kind(3, channels=2, cells=3 if space == "darts" else 1, in_channels=1).double()
    SupernetAt(supernet, torch.rand(kind.alpha_shape).double().softmax(dim=-1)).train()(torch.rand(8, 1, 8, 8).double())
    return SupernetAt(supernet.eval(), torch.randn(kind.alpha_shape).double().softmax(dim=-1))


def test_the_estimate_of_the_jacobians_norm() -> None:
    torch.manual_seed(0)
    matrix = torch.linalg.qr(torch.randn(12, 5, dtype=torch.float64))[0].T  # orthonormal rows
    images = torch.rand(3, 3, 2, 2, dtype=torch.float64)
    exact = squared_jacobian(lambda shown: shown.flatten(1) @ matrix.T, images, torch.Generator())
    torch.testing.assert_close(exact, torch.full((3,), 5.0, dtype=torch.float64))  # whatever the direction
    layer = nn.Linear(12, 5).double()
    many = squared_jacobian(
        lambda shown: layer(shown.flatten(1)), images[:1].expand(20_000, -1, -1, -1), torch.Generator()
    )
    assert float(many.detach().mean()) == pytest.approx(float(layer.weight.detach().square().sum()), rel=0.02)


def remember(norm: nn.BatchNorm2d, given: tuple[Tensor]) -> None:
    """A hook that makes a norm keep the statistics that it sees first."""
    if norm.running_mean is None:
        norm.running_var, norm.running_mean = torch.var_mean(given[0].detach(), dim=(0, 2, 3), correction=0)


def bounds_of(tape: Tape, images: Interval) -> tuple[Tensor, Tensor]:
    """The lower and the upper ends of all logits."""
    logits = propagate(tape, images)[tape.logits]
    return logits.low, logits.high


def least_margins(program: Program, images: Tensor, labels: Tensor, eps: Tensor, tape: Tape | None = None) -> Tensor:
    """Of the label and each other class, shape (N,)."""
    return interval_margins(program, images, labels, eps, tape).scatter(1, labels.unsqueeze(1), torch.inf).amin(dim=1)


@pytest.mark.parametrize("space", ["darts", "nasbench201"])
def test_bounds_hold_for_every_image_of_the_box(space: str) -> None:
    network = small_supernet(space)
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(4, 1, 8, 8, generator=generator, dtype=torch.float64)
    radius = 0.02
    images = 0.1 + 0.8 * images  # the ball lies inside [0, 1]
    tape = trace(network, (1, 8, 8), batch_statistics=True).tape(images)
    low, high = (end.detach() for end in bounds_of(tape, box(images, radius)))
    none = bounds_of(tape, box(images, 0.0))
    torch.testing.assert_close(none[0], network(images))
    torch.testing.assert_close(none[1], network(images))
    # Norms that take the statistics of the batch: those of the images count as constants, from here on for all.
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d) and module.running_mean is None:
            module.register_forward_pre_hook(remember)
    network(images)
    widest = torch.zeros_like(low)
    for _ in range(20):
        moved = images + radius * torch.randint(-1, 2, images.shape, generator=generator)
        logits = network(moved)
        assert bool((low <= logits).all())
        assert bool((logits <= high).all())
        widest = torch.maximum(widest, (logits - none[0]).abs())
    assert bool((widest > 0).all())


def test_the_radius_of_a_linear_classifier() -> None:
    """The least of m_j / |w_y - w_j|_1, as margins move by eps times that."""
    torch.manual_seed(0)
    layer = nn.Linear(4, 3).double()
    images = 0.4 + 0.2 * torch.rand(6, 4, 1, 1, dtype=torch.float64)
    labels = layer(images.flatten(1)).argmax(dim=1)
    labels[0] = (labels[0] + 1) % 3  # misclassified
    program = Program(nn.Sequential(nn.Flatten(), layer))
    radii, certain = certified_radius(program, images, labels, 1.0)
    assert certain.tolist() == [False] + [True] * 5
    logits, weight = layer(images.flatten(1)).detach(), layer.weight.detach()
    norms = (weight.unsqueeze(1) - weight).abs().sum(dim=2)
    for row in range(1, 6):
        label = int(labels[row])
        bound = min(
            float((logits[row, label] - logits[row, other]) / norms[label, other])
            for other in range(3)
            if other != label
        )
        assert bound * 0.9 < float(radii.detach()[row]) <= bound * (1 + 1e-9)
        assert float(least_margins(program, images, labels, radii.detach()).detach()[row]) >= 0
        # The radius is that bound, m / |w|: so is its slope in the bias of the label's logit.
        (slope,) = torch.autograd.grad(radii[row], layer.bias, retain_graph=True)
        runner_up = int(logits[row].masked_fill(torch.arange(3) == label, -torch.inf).argmax())
        if bound == pytest.approx(float((logits[row, label] - logits[row, runner_up]) / norms[label, runner_up])):
            assert float(slope[label]) == pytest.approx(1 / float(norms[label, runner_up]), rel=1e-6)


def test_the_radius_follows_alpha() -> None:
    """Its derivative by the implicit function theorem is that of finite differences of the exact radius."""
    network = small_supernet("nasbench201")
    images = torch.rand(4, 1, 8, 8, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    alpha = torch.zeros(network.weights.shape, dtype=torch.float64, requires_grad=True)
    network.weights = alpha.softmax(dim=-1)
    labels = network(images).argmax(dim=1)
    program = Program(network, batch_statistics=True)
    radii, certain = certified_radius(program, images, labels, 0.1)
    assert bool(certain.all())
    (gradient,) = torch.autograd.grad(radii.log().sum(), alpha)
    direction = gradient / gradient.norm()

    def exact(step: float) -> float:
        """The sum of the logarithms of the radii, bisected to the end."""
        network.weights = (step * direction).softmax(dim=-1)
        low, high, tape = radii.detach() / 2, 2 * radii.detach(), program.tape(images)
        for _ in range(40):
            middle = (low + high) / 2
            with torch.no_grad():
                holds = least_margins(program, images, labels, middle, tape) > 0
            low, high = torch.where(holds, middle, low), torch.where(holds, high, middle)
        return float(low.log().sum())

    # Of steps so small that no unit is switched on: it would be at once, where a box is so small.
    slope = (exact(1e-6) - exact(-1e-6)) / 2e-6
    assert slope == pytest.approx(float(gradient.norm()), rel=0.1)  # the radius is known to some percent


@pytest.mark.parametrize(("jacobian", "certified"), [(0.5, 0.0), (0.0, 0.5), (0.5, 0.25)])
def test_weights_choose_the_terms(jacobian: float, certified: float) -> None:
    algorithm, state = begin("dsrna", dsrna=DsrnaConfig(jacobian=jacobian, certified=certified))
    values = algorithm.alpha_step(state, batch(1), batch(2))
    assert ("jacobian" in values) == (jacobian > 0)
    assert ("certified" in values) == (certified > 0)
    assert 0 <= values.pop("certified_share", 0) <= 1
    terms = [value for name, value in values.items() if name != "loss"]
    assert values["loss"] == pytest.approx(sum(terms))
    assert state.passes == 1 + (jacobian > 0) + (1 + 2 * 11) * (certified > 0)


def test_a_space_that_cannot_be_bounded_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    algorithm, _ = begin("dsrna", dsrna=DsrnaConfig(certified=1))
    space = SPACES["nasbench201"]
    check = ALGORITHMS["dsrna"].check
    check(algorithm.config, space)
    monkeypatch.setattr(space.path_supernet, "mix", lambda *given: given[1].sigmoid())
    with pytest.raises(ConfigError, match=r"^space: expected one whose operations dsrna can bound .* 'nasbench201'$"):
        check(algorithm.config, space)
    with pytest.raises(ConfigError, match="certified: expected a number > 0 where jacobian is 0"):
        DsrnaConfig(jacobian=0)
