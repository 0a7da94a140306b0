"""Sampled paths are what the Gumbel-max trick promises, and their gradient is that of the relaxed sample."""

import pytest
import torch

from rnas.networks.nasbench201 import NasBench201Network
from rnas.search.relaxations import MIXTURE, SAMPLED_PATHS
from rnas.supernets.base import active_operations
from rnas.supernets.space import SPACES


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_a_path_has_one_operation_an_edge_drawn_with_its_probability() -> None:
    alpha = torch.tensor([[[0.0, 1.0, -1.0, 2.0, 0.5]]])
    draws = torch.stack([SAMPLED_PATHS.weights(alpha, generator(seed)) for seed in range(4000)])
    assert set(draws.unique().tolist()) == {0.0, 1.0}
    assert (draws.sum(dim=-1) == 1).all()
    # Four standard deviations of a frequency.
    assert (draws.mean(dim=0) - alpha.softmax(dim=-1)).abs().max() < 4 * 0.5 / 4000**0.5


def test_the_gradient_passes_straight_through() -> None:
    alpha = torch.randn(2, 3, 4, dtype=torch.float64, generator=generator()).requires_grad_()
    direction = torch.randn(2, 3, 4, dtype=torch.float64, generator=generator(1))
    gradients = [
        torch.autograd.grad((weights(alpha, generator(2)) * direction).sum(), alpha)[0]
        for weights in (SAMPLED_PATHS.weights, SAMPLED_PATHS.smooth_weights)
    ]
    assert torch.equal(gradients[0], gradients[1])
    path = SAMPLED_PATHS.weights(alpha, generator(2)).detach()
    assert torch.allclose(path, SAMPLED_PATHS.weights(alpha.detach(), generator(2)))


def test_a_mixture_is_the_softmax() -> None:
    alpha = torch.randn(1, 6, 5)
    assert torch.equal(MIXTURE.weights(alpha, generator()), alpha.softmax(dim=-1))


@pytest.mark.parametrize("name", list(SPACES))
def test_leaving_out_operations_of_weight_zero_changes_nothing(name: str) -> None:
    """A path without gradients is computed alone, one with gradients together with all other operations."""
    torch.manual_seed(0)
    supernet = SPACES[name].path_supernet(3, channels=2, cells=3, in_channels=1).double().eval()
    images = torch.rand(2, 1, 8, 8, dtype=torch.float64)
    path = SAMPLED_PATHS.weights(torch.zeros(supernet.alpha_shape, dtype=torch.float64), generator(3))
    active = active_operations(path[0])
    assert sum(map(sum, active)) == len(active)
    assert torch.allclose(supernet.mix(images, path), supernet.mix(images, path.clone().requires_grad_()))


def test_a_path_of_the_supernet_is_the_discrete_network() -> None:
    torch.manual_seed(0)
    space = SPACES["nasbench201"]
    supernet = space.supernet(3, channels=4, cells=1, in_channels=1).double()
    path = torch.zeros(supernet.alpha_shape, dtype=torch.float64)
    path[0, range(6), [3, 1, 0, 4, 2, 3]] = 1
    genotype = space.derive(20 * path, None)
    network = NasBench201Network(genotype, 3, channels=4, cells=1, in_channels=1).double()
    weights = supernet.state_dict()
    # An edge's only operation there has its place among all operations here; batch norm has scale 1 and shift 0.
    with torch.no_grad():
        for key, value in network.state_dict().items():
            edge = key.split(".")
            if edge[0] == "cells" and edge[-1] == "weight" and value.ndim == 4:
                index = [3, 1, 0, 4, 2, 3][int(edge[3])]
                value.copy_(weights[".".join([*edge[:4], "operations", str(index), *edge[4:]])])
            elif edge[0] != "cells" and key in weights:
                value.copy_(weights[key])
    images = torch.rand(4, 1, 8, 8, dtype=torch.float64)
    assert torch.allclose(supernet.mix(images, path), network.train()(images))


def test_a_path_without_any_operation_has_a_gradient_of_zero() -> None:
    supernet = SPACES["nasbench201"].supernet(3, channels=2, cells=1, in_channels=1)
    path = torch.zeros(supernet.alpha_shape)
    path[..., 0] = 1
    images = torch.rand(2, 1, 8, 8, requires_grad=True)
    (gradient,) = torch.autograd.grad(supernet.mix(images, path).sum(), images)
    assert not gradient.any()
