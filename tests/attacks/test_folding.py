"""A folded network is the same function, and follows the weights."""

import pytest
import torch
from torch import Tensor, nn

from rnas.attacks.folding import FoldedNetwork
from rnas.networks import zoo


def disturb(network: nn.Module) -> None:
    """Give weights and statistics values that no initialisation has."""
    for name, tensor in network.state_dict().items():
        if tensor.is_floating_point() and "normalise" not in name:
            tensor.mul_(1 + 0.3 * torch.rand_like(tensor)).add_(0.05 * torch.rand_like(tensor))


@pytest.mark.parametrize("name", ["resnet18", "darts_v2", "robnet_large", "densenet121", "vgg16", "mobilenet_v2"])
def test_the_folded_network_computes_the_same(name: str) -> None:
    torch.manual_seed(0)
    cells = None if zoo.NETWORKS[name].cells is None else 3
    network = zoo.build(name, 5, in_channels=1, channels=4, cells=cells).double()
    view = FoldedNetwork(network)
    assert view.folds
    images = torch.rand(3, 1, 16, 16, dtype=torch.float64)
    for _ in range(2):
        disturb(network)
        before = {key: value.clone() for key, value in network.state_dict().items()}
        folded = view.refresh()
        torch.testing.assert_close(folded(images), network.eval()(images), rtol=1e-6, atol=1e-9)
        network.train()
        assert not folded.training
        assert all(torch.equal(before[key], value) for key, value in network.state_dict().items())


@pytest.mark.parametrize("name", ["resnet18", "darts_v2"])
def test_all_norms_after_convolutions_are_folded(name: str) -> None:
    view = FoldedNetwork(zoo.build(name, 5, channels=4, cells=3 if name == "darts_v2" else None))
    assert not [module for module in view.folded.modules() if isinstance(module, nn.BatchNorm2d)]


class Twice(nn.Module):
    """A convolution whose output goes elsewhere too, one that is used twice, and a norm without statistics."""

    def __init__(self) -> None:
        super().__init__()
        self.convolutions = nn.ModuleList(nn.Conv2d(2, 2, 3, padding=1) for _ in range(3))
        self.norms = nn.ModuleList(nn.BatchNorm2d(2, track_running_stats=index < 2) for index in range(3))

    def forward(self, x: Tensor) -> Tensor:
        first = self.convolutions[0](x)
        x = first + self.norms[0](first)
        x = self.norms[1](self.convolutions[1](self.convolutions[1](x)))
        return self.norms[2](self.convolutions[2](x))


class Concatenated(nn.Module):
    """A norm of two concatenated maps, which are two of one convolution or of which one goes elsewhere too."""

    def __init__(self, *, twice: bool) -> None:
        super().__init__()
        self.twice = twice
        self.first, self.second = nn.Conv2d(2, 2, 3), nn.Conv2d(2, 2, 3)
        self.norm = nn.BatchNorm2d(4)

    def forward(self, x: Tensor) -> Tensor:
        first, second = self.first(x), self.second(x)
        if self.twice:
            return self.norm(torch.cat([first, first], 1))
        return self.norm(torch.cat([first, second], dim=1)) + torch.cat([second, second], 1)


class Undecided(nn.Module):
    """What torch.fx cannot trace."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(2, 2, 3), nn.BatchNorm2d(2))

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x) if x.sum() > 0 else x


@pytest.mark.parametrize("network", [Twice(), Undecided(), Concatenated(twice=True), Concatenated(twice=False)])
def test_what_cannot_be_folded_stays(network: nn.Module) -> None:
    view = FoldedNetwork(network)
    assert not view.folds
    disturb(network)
    images = torch.rand(2, 2, 6, 6)
    torch.testing.assert_close(view.refresh()(images), network.eval()(images))
