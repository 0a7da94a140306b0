"""Bounds of margins: closed forms, what holds for every network, and what cannot be bounded."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rnas.attacks import pgd_linf
from rnas.certification.boxes import box
from rnas.certification.intervals import propagate
from rnas.certification.program import (
    Program,
    crown_ibp_margins,
    crown_margins,
    interval_margins,
    trace,
)
from rnas.errors import ModelError
from rnas.networks import zoo
from rnas.networks.layout import use_channels_last
from rnas.supernets.base import SupernetAt
from rnas.supernets.space import SPACES

Margins = Callable[[Program, Tensor, Tensor, float | Tensor], Tensor]
METHODS: list[Margins] = [interval_margins, crown_ibp_margins, crown_margins]


def rand(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def settled(network: nn.Module, shape: tuple[int, int, int] = (3, 8, 8)) -> nn.Module:
    """In double precision and evaluation mode, with scales, shifts and running statistics of some training."""
    network = network.double()
    generator = torch.Generator().manual_seed(3)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = None
            if module.affine:
                module.weight.data = 0.5 + torch.rand(module.weight.shape, generator=generator, dtype=torch.float64)
                module.bias.data = torch.randn(module.bias.shape, generator=generator, dtype=torch.float64) / 4
    with torch.no_grad():
        network.train()(rand(16, *shape, seed=7))
    return network.eval()


def margins(network: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
    """z_label - z_j, shape (N, classes)."""
    logits = network(images)
    return logits.gather(1, labels.unsqueeze(1)) - logits


def attacked(network: nn.Module, images: Tensor, labels: Tensor, eps: float) -> Iterator[Tensor]:
    """Points of the ball: inside, in corners, and where an attack ends."""
    generator = torch.Generator().manual_seed(5)
    for _ in range(3):
        move = 2 * torch.rand(images.shape, generator=generator, dtype=torch.float64) - 1
        yield (images + eps * move).clamp(0, 1)
        yield (images + eps * move.sign()).clamp(0, 1)
    yield pgd_linf(network, images, labels, eps=eps, step_size=eps / 2, steps=4, generator=generator)


def small(*layers: nn.Module) -> nn.Sequential:
    torch.manual_seed(1)
    return nn.Sequential(nn.Conv2d(1, 3, 3), *layers, nn.Flatten(), nn.LazyLinear(4))


@pytest.mark.parametrize("method", METHODS)
def test_a_linear_classifier(method: Margins) -> None:
    """The least margin is in a corner of the ball, cut with [0, 1]: m - sum over pixels of |w| times the way there."""
    torch.manual_seed(0)
    layer = nn.Linear(12, 3).double()
    network = nn.Sequential(nn.Flatten(), layer)
    images, labels = rand(5, 3, 2, 2), torch.tensor([0, 1, 2, 0, 1])
    images[0, 0], images[1, 1] = 0.0, 1.0
    radii = torch.tensor([0.0, 0.1, 0.2, 0.7, 1.0], dtype=torch.float64)
    weight = layer.weight.detach()
    slopes = weight[labels].unsqueeze(1) - weight  # (N, classes, pixels)
    flat, radius = images.flatten(1).unsqueeze(1), radii.view(-1, 1, 1)
    low, high = (flat - radius).clamp(min=0), (flat + radius).clamp(max=1)
    expected = margins(network, images, labels) + torch.minimum(slopes * (low - flat), slopes * (high - flat)).sum(2)
    torch.testing.assert_close(method(trace(network, (3, 2, 2)), images, labels, radii), expected)


def test_one_hidden_layer_by_intervals() -> None:
    """By hand: x in [0.4, 0.6], h = (x - 0.5, 0.5 - x) in [-0.1, 0.1], relu in [0, 0.1], margin h1 - 2 h2 + 0.3."""
    network = nn.Sequential(nn.Flatten(), nn.Linear(1, 2), nn.ReLU(), nn.Linear(2, 2)).double()
    for layer, weight, bias in ((1, [[1.0], [-1.0]], [-0.5, 0.5]), (3, [[1.0, -1.0], [0.0, 1.0]], [0.3, 0.0])):
        network[layer].weight.data = torch.tensor(weight).double()
        network[layer].bias.data = torch.tensor(bias).double()
    image, label = torch.full((1, 1, 1, 1), 0.5).double(), torch.tensor([0])
    program = trace(network, (1, 1, 1))
    assert interval_margins(program, image, label, 0.1)[0].tolist() == pytest.approx([0, 0.1])
    # The least margin: 0.3 - 2 * 0.1 at x = 0.4. The lines: h1 >= 0 or x - 0.5, h2 <= (0.1 + 0.5 - x) / 2.
    assert crown_margins(program, image, label, 0.1)[0].tolist() == pytest.approx([0, 0.1])


@pytest.mark.parametrize("method", [crown_ibp_margins, crown_margins])
def test_linear_bounds_are_exact_where_no_unit_switches(method: Margins) -> None:
    """The network is linear on the ball then: the least margin is m - eps |gradient|_1. Intervals are below that."""
    network = small(nn.ReLU()).double()
    images, labels, eps = 0.3 + 0.4 * rand(6, 1, 4, 4), torch.arange(6) % 4, 1e-5
    network(images.float().double())
    program, points = trace(network, (1, 4, 4)), images.clone().requires_grad_()
    found, exact = method(program, images, labels, eps), margins(network, points, labels)
    for other in range(4):
        (slope,) = torch.autograd.grad(exact[:, other].sum(), points, retain_graph=True)
        torch.testing.assert_close(
            found[:, other], exact[:, other] - eps * slope.abs().flatten(1).sum(1), rtol=1e-9, atol=1e-12
        )
    intervals = interval_margins(program, images, labels, eps)
    assert bool((intervals <= found).all())
    assert float((found - intervals).max().detach()) > 1e-6


def test_linear_bounds_against_all_patterns_of_a_small_network() -> None:
    """The least margin of two inputs and three units, found on a fine grid, lies just above the bounds."""
    torch.manual_seed(8)
    first = nn.Linear(2, 3)
    first.weight.data *= 3
    network = nn.Sequential(nn.Flatten(), first, nn.ReLU(), nn.Linear(3, 2)).double()
    image, label, eps = torch.tensor([0.5, 0.5]).double().view(1, 2, 1, 1), torch.tensor([1]), 0.3
    line = torch.linspace(0.2, 0.8, 241, dtype=torch.float64)
    grid = torch.cartesian_prod(line, line).view(-1, 2, 1, 1)
    least = float(margins(network, grid, torch.ones(len(grid), dtype=torch.int64))[:, 0].min().detach())
    program = trace(network, (2, 1, 1))
    by_intervals, by_lines = (float(method(program, image, label, eps)[0, 0].detach()) for method in METHODS[:2])
    assert by_intervals < by_lines <= least + 1e-12
    assert least - by_lines < 0.6 * (least - by_intervals)


@pytest.mark.parametrize("name", list(zoo.NETWORKS))
def test_bounds_of_the_zoo(name: str) -> None:
    """Sound, exact at eps = 0, lower for larger eps, never looser than intervals; registering a network enrols it."""
    torch.manual_seed(0)
    card = zoo.NETWORKS[name]
    network = zoo.build(name, 3, channels=2, cells=None if card.cells is None else 3)
    check(settled(network), METHODS[:2])


def check(network: nn.Module, methods: list[Margins], shape: tuple[int, int, int] = (3, 8, 8)) -> None:
    """All that holds for the bounds of every network."""
    images, labels = rand(3, *shape, seed=1), torch.arange(3)
    # Where nothing is proved nothing is tested: an eps at which some intervals are of the size of the logits.
    program = trace(network, shape)
    with torch.no_grad():
        exact = margins(network, images, labels)
        slack = (exact - interval_margins(program, images, labels, 1e-7)).abs().max()
        eps = min(0.02, 1e-7 * float(exact.abs().max() / slack))
        points = list(attacked(network, images, labels, eps))
        before = torch.full_like(exact, -torch.inf)
        for method in methods:
            torch.testing.assert_close(method(program, images, labels, 0.0), exact, atol=1e-6, rtol=1e-6)
            bound = method(program, images, labels, eps)
            assert bool((bound >= before - 1e-9).all()), method
            assert bool((bound <= exact + 1e-12).all())
            assert not bound[torch.arange(3), labels].any()
            for point in points:
                assert bool((margins(network, point, labels) >= bound - 1e-9).all()), method
            wider = method(program, images, labels, torch.tensor([2 * eps, eps, 3 * eps], dtype=torch.float64))
            assert bool((wider <= bound + 1e-9).all())
            torch.testing.assert_close(wider[1], bound[1])
            before = bound


@pytest.mark.parametrize("space", ["darts", "nasbench201"])
@pytest.mark.parametrize("seed", [0, 1])
def test_bounds_of_random_cells(space: str, seed: int) -> None:
    found = SPACES[space]
    alpha = torch.randn(found.supernet.alpha_shape, generator=torch.Generator().manual_seed(seed))
    genotype = found.derive(alpha, None)
    torch.manual_seed(seed)
    cells = max(1, found.least_cells)
    check(settled(found.build(genotype, 3, channels=2, cells=cells, in_channels=1), (1, 8, 8)), METHODS[:2], (1, 8, 8))


class Own(nn.Module):
    """A user's network: sizes from the images, changes in place, activations of many kinds, two paths."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 4, 3, padding=1)
        self.second = nn.Conv2d(4, 4, 3, padding=1, groups=2)
        self.linear = nn.Linear(4 * 4 * 4, 3)
        self.dropout = nn.Dropout()

    def forward(self, images: Tensor) -> Tensor:
        assert images.shape[1] == 3
        x = images.clone()
        x -= 0.5
        x = F.relu(self.first(x), inplace=True)
        x = F.silu(self.second(x)).mul_(2) + F.leaky_relu(x) * 0.5
        x = torch.cat([F.max_pool2d(x, 2), torch.ones(len(x), 1, 4, 4)], dim=1)[:, 1:]
        return self.linear(self.dropout(torch.tanh(x).reshape(x.size(0), -1)))


@pytest.mark.parametrize(
    "network",
    [Own(), small(nn.ReLU(), nn.Conv2d(3, 3, 3, padding=1), nn.ReLU()), small(nn.ReLU6(), nn.AvgPool2d(2), nn.ReLU())],
)
def test_bounds_of_other_networks(network: nn.Module) -> None:
    shape = (3 if isinstance(network, Own) else 1, 8, 8)
    network(torch.rand(2, *shape))
    check(network.double().eval(), METHODS, shape)


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
def test_programs_of_files_and_other_layouts_have_the_bounds_of_their_network() -> None:
    """Programs of torch.export and TorchScript, and weights in channels_last with their hooks."""
    layers = [nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 6, 1, stride=2)]
    network = settled(nn.Sequential(*layers, nn.Flatten(), nn.Linear(96, 3)))
    images, labels = rand(3, 3, 8, 8), torch.arange(3)
    expected = crown_margins(trace(network, (3, 8, 8)), images, labels, 0.02).detach()
    batch = {0: torch.export.Dim("batch", min=1)}
    others = [
        torch.export.export(network, (images,), dynamic_shapes=(batch,)).module(),
        torch.jit.script(network),
        torch.jit.trace(network, images),
        copy.deepcopy(network),
    ]
    use_channels_last(others[-1])
    for other in others:
        found = crown_margins(trace(other, (3, 8, 8)), images, labels, 0.02).detach()
        torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("method", METHODS)
def test_gradients_in_weights(method: Margins) -> None:
    """Those of finite differences, along a random direction of all weights."""
    network = small(nn.BatchNorm2d(3), nn.ReLU(), nn.Conv2d(3, 2, 3), nn.ReLU())
    network(torch.rand(2, 1, 8, 8))
    settled(network, (1, 8, 8))
    images, labels = rand(2, 1, 8, 8), torch.tensor([0, 3])
    program, weights = trace(network, (1, 8, 8)), list(network.parameters())
    gradient = torch.autograd.grad(method(program, images, labels, 0.05).sum(), weights)
    generator = torch.Generator().manual_seed(2)
    directions = [torch.randn(weight.shape, generator=generator, dtype=torch.float64) for weight in weights]
    slope = sum(float((part * direction).sum()) for part, direction in zip(gradient, directions, strict=True))
    values = []
    for step in (1e-7, -2e-7):
        with torch.no_grad():
            for weight, direction in zip(weights, directions, strict=True):
                weight.add_(step * direction)
            values.append(float(method(program, images, labels, 0.05).sum()))
    assert (values[0] - values[1]) / 2e-7 == pytest.approx(slope, rel=1e-4)


@pytest.mark.parametrize(
    ("space", "method"),
    [("darts", interval_margins), ("nasbench201", interval_margins), ("nasbench201", crown_ibp_margins)],
)
def test_gradients_in_alpha(space: str, method: Margins) -> None:
    kind = SPACES[space].path_supernet
    torch.manual_seed(0)
    supernet = kind(3, channels=2, cells=3 if space == "darts" else 1, in_channels=1).double().eval()
    network = SupernetAt(supernet, torch.zeros(kind.alpha_shape))
    alpha = torch.randn(kind.alpha_shape, generator=torch.Generator().manual_seed(1)).double().requires_grad_()
    images, labels = rand(2, 1, 8, 8), torch.tensor([0, 1])
    network.weights = alpha.softmax(dim=-1)
    program = trace(network, (1, 8, 8), batch_statistics=True)

    def value() -> Tensor:
        network.weights = alpha.softmax(dim=-1)
        return method(program, images, labels, 1e-6).sum()

    (gradient,) = torch.autograd.grad(value(), alpha)
    direction = gradient / gradient.norm()
    with torch.no_grad():
        alpha += 1e-6 * direction
    after = float(value().detach())
    with torch.no_grad():
        alpha -= 2e-6 * direction
    assert (after - float(value().detach())) / 2e-6 == pytest.approx(float(gradient.norm()), rel=1e-3)


def test_statistics_of_the_batch_count_as_constants() -> None:
    """At eps = 0 the logits are those of training mode; the running statistics stay as they are."""
    network = small(nn.BatchNorm2d(3), nn.ReLU())
    network(torch.rand(2, 1, 8, 8))
    network.double().train()
    before = copy.deepcopy(network.state_dict())
    images, labels = rand(4, 1, 8, 8), torch.arange(4)
    program = trace(network, (1, 8, 8), batch_statistics=True)
    for method in METHODS:
        found = method(program, images, labels, 0.0)
        assert all(torch.equal(before[key], value) for key, value in network.state_dict().items())
        torch.testing.assert_close(found, margins(copy.deepcopy(network), images, labels))


def test_tiny_boxes_have_bounds_of_their_size() -> None:
    """In float32, far below the precision of the values, also beside 0 and 1: the margin falls in proportion to eps."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(1, 3, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(27, 2))
    images = torch.rand(4, 1, 8, 8).round(decimals=1)
    tape = trace(network, (1, 8, 8)).tape(images)
    widths = [propagate(tape, box(images, eps))[tape.logits].radius.detach() for eps in (1e-12, 1e-24)]
    assert float(widths[1].min()) > 0
    torch.testing.assert_close(widths[0] * 1e-12, widths[1], rtol=1e-3, atol=0)


def test_a_box_holds_both_ends_however_small() -> None:
    """Also where the middle of the box is no number of float32, as beside 1."""
    images = torch.tensor([0.0, 1e-9, 0.3, 0.7, 1.0]).view(5, 1, 1, 1)
    for eps in (1e-30, 1e-12, 1e-7, 0.1, 2.0):
        centre, radius = (tensor.double() for tensor in box(images, eps))
        low, high = (images.double() - eps).clamp(min=0), (images.double() + eps).clamp(max=1)
        assert bool((centre - radius <= low + 1e-7 * eps).all())
        assert bool((centre + radius >= high - 1e-7 * eps).all())
        assert bool((radius <= min(eps, 1) * (1 + 1e-6)).all())


def test_the_model_is_left_as_it_was() -> None:
    network = zoo.build("resnet18", 3, channels=2)
    network.eval()
    network.stages[1].train()  # type: ignore[index,union-attr]
    network.stem[0].weight.requires_grad_(False)  # type: ignore[index,union-attr]
    modes = [module.training for module in network.modules()]
    grads = [parameter.requires_grad for parameter in network.parameters()]
    before = copy.deepcopy(network.state_dict())
    with pytest.raises(ModelError, match="batch norm takes the statistics of the batch"):
        trace(network, (3, 8, 8))
    program = trace(network, (3, 8, 8), batch_statistics=True)
    crown_ibp_margins(program, torch.rand(2, 3, 8, 8), torch.tensor([0, 1]), 0.1).sum()
    assert modes == [module.training for module in network.modules()]
    assert grads == [parameter.requires_grad for parameter in network.parameters()]
    assert all(torch.equal(before[key], value) for key, value in network.state_dict().items())
    assert all(parameter.grad is None for parameter in network.parameters())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in network.modules())
