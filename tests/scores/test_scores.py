"""Training-free scores: closed forms of each, and what holds for all."""

from __future__ import annotations

import copy
import math

import pytest
import torch
from torch import Tensor, nn

from rnas.errors import ModelError
from rnas.networks.nasbench201 import NasBench201Network
from rnas.scores import SCORES, croze
from rnas.spaces import nasbench201

GENERATOR = torch.Generator()


def score(name: str, network: nn.Module, images: Tensor, labels: Tensor | None = None) -> float:
    labels = torch.zeros(len(images), dtype=torch.int64) if labels is None else labels
    return SCORES[name](network, images, labels, GENERATOR.manual_seed(0))


def linear(*rows: list[float]) -> nn.Linear:
    """A layer without bias whose weights are these rows."""
    layer = nn.Linear(len(rows[0]), len(rows), bias=False)
    layer.weight.data = torch.tensor(rows)
    return layer


def network_of(
    cell: str = "|nor_conv_3x3~0|+|none~0|skip_connect~1|+|avg_pool_3x3~0|none~1|nor_conv_1x1~2|",
) -> nn.Module:
    torch.manual_seed(0)
    return NasBench201Network(nasbench201.parse_genotype(cell), 3, channels=4, cells=1, in_channels=3)


IMAGES = torch.rand(6, 3, 8, 8, generator=torch.Generator().manual_seed(1))
LABELS = torch.tensor([0, 1, 2, 0, 1, 2])


@pytest.mark.parametrize("name", list(SCORES))
def test_a_score_is_finite_repeats_and_leaves_everything_as_it_was(name: str) -> None:
    network, images = network_of(), IMAGES.clone()
    network.cells.eval()  # type: ignore[union-attr]
    modes = [module.training for module in network.modules()]
    before = copy.deepcopy(network.state_dict())
    first = score(name, network, images, LABELS)
    assert math.isfinite(first)
    assert score(name, network, images, LABELS) == first
    assert [module.training for module in network.modules()] == modes
    assert all(torch.equal(before[key], value) for key, value in network.state_dict().items())
    assert all(parameter.grad is None for parameter in network.parameters())
    assert torch.equal(images, IMAGES)
    assert not images.requires_grad


@pytest.mark.parametrize("name", list(SCORES))
def test_one_image_is_refused(name: str) -> None:
    with pytest.raises(ModelError, match="a score needs at least 2 images, got 1"):
        score(name, network_of(), IMAGES[:1])


def test_synflow_of_layers_in_a_row() -> None:
    """R is linear in each layer, so each of the two adds R = 1^T |W2| |W1| 1 = (2 + 3) (1 + 2) + (1 + 1) (3 + 0.5)."""
    network = nn.Sequential(nn.Flatten(), linear([1.0, -2.0], [3.0, 0.5]), nn.ReLU(), linear([-2.0, 1.0], [3.0, -1.0]))
    assert score("synflow", network, torch.rand(2, 1, 1, 2)) == pytest.approx(math.log(2 * (5 * 3 + 2 * 3.5)))


def test_synflow_does_not_normalise() -> None:
    """Neither the first layer's mean nor what a batch norm has seen changes it."""
    network = network_of()
    before = score("synflow", network, IMAGES)
    network.normalise.mean.fill_(0.9)  # type: ignore[union-attr,operator]
    network.train()(IMAGES)
    assert score("synflow", network, IMAGES) == before


def test_nwot_of_two_patterns() -> None:
    """Units on: (1, 1, 0) and (1, 0, 0). Two of three agree: K = [[3, 2], [2, 3]], det K = 5."""
    network = nn.Sequential(nn.Flatten(), linear([1.0], [-1.0], [0.0]), nn.ReLU())
    network[1].bias = nn.Parameter(torch.tensor([0.0, 0.5, -1.0]))
    assert score("nwot", network, torch.tensor([0.25, 0.75]).view(2, 1, 1, 1)) == pytest.approx(math.log(5))
    assert score("nwot", network, torch.tensor([0.25, 0.25]).view(2, 1, 1, 1)) == -math.inf
    with pytest.raises(ModelError, match="nwot looks at ReLU modules"):
        score("nwot", nn.Sequential(nn.Flatten(), linear([1.0])), torch.rand(2, 1, 1, 1))


def test_zico_of_one_layer() -> None:
    """One image a half: the gradient in w_k is (p_k - 1[k is the label]) x, p = 1/2 at w = 0."""
    network = nn.Sequential(nn.Flatten(), linear([0.0], [0.0]))
    images = torch.tensor([0.2, 0.6]).view(2, 1, 1, 1)
    # |g| is 0.1 and 0.3 in both weights: mean 0.2, deviation 0.1 with equal labels, 0.2 with different ones.
    assert score("zico", network, images, torch.tensor([0, 0])) == pytest.approx(math.log(2 * 0.2 / 0.1), rel=1e-5)
    assert score("zico", network, images, torch.tensor([0, 1])) == pytest.approx(math.log(2 * 0.2 / 0.2), rel=1e-5)


def test_interval_bound_of_a_linear_network() -> None:
    """A margin moves by |w_y - w_j|_1 an eps: 7 here, of a ball inside [0, 1]. Whatever scales the logits cancels."""
    images, labels = torch.tensor([[0.5, 0.25], [0.25, 0.5]]).view(2, 1, 1, 2), torch.tensor([0, 1])
    layer = linear([3.0, 0.0], [0.0, -4.0])
    network = nn.Sequential(nn.Flatten(), layer)
    expected = math.log((3 * 0.5 + 4 * 0.25 + 3 * 0.25 + 4 * 0.5) / 2 / 7)
    assert score("interval_bound", network, images, labels) == pytest.approx(expected, rel=1e-5)
    layer.weight.data *= 10
    assert score("interval_bound", network, images, labels) == pytest.approx(expected, rel=1e-5)
    assert score("interval_bound", nn.Sequential(nn.Flatten(), linear([0.0], [0.0])), images[:, :, :, :1]) == -math.inf


def test_jacobian_of_a_linear_network_is_its_matrix() -> None:
    network = nn.Sequential(nn.Flatten(), linear([3.0, 0.0], [0.0, -4.0]))
    assert score("jacobian", network, torch.rand(3, 1, 1, 2)) == pytest.approx(-5)


def test_cells_that_an_attack_does_not_reach_are_not_vulnerable() -> None:
    network = network_of()
    network.stem[0].weight.data.zero_()  # type: ignore[union-attr,index]
    assert score("vulnerability", network, IMAGES, LABELS) == 0
    assert score("vulnerability", network_of(), IMAGES, LABELS) < 0
    with pytest.raises(ModelError, match="looks at cells, and the network has none"):
        score("vulnerability", nn.Sequential(nn.Flatten(), linear([1.0])), torch.rand(2, 1, 1, 1))


def test_a_twin_that_is_not_perturbed_agrees_in_all_layers(monkeypatch: pytest.MonkeyPatch) -> None:
    network = network_of()
    layers = sum(isinstance(module, nn.Conv2d | nn.Linear) for module in network.modules())
    perturbed = score("croze", network, IMAGES, LABELS)
    monkeypatch.setattr(croze, "EPS", 0.0)
    monkeypatch.setattr(croze, "BETA", 0.0)
    assert score("croze", network, IMAGES, LABELS) == pytest.approx(2 * 2 * 1 * layers, rel=1e-5)
    assert perturbed < 4 * layers


def test_parameters_are_counted() -> None:
    assert score("parameters", nn.Sequential(nn.Flatten(), nn.Linear(12, 5)), torch.rand(2, 3, 2, 2)) == 65
