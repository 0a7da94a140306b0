"""Which layers a plot over the depth shows, for our networks and for models that we do not know."""

from __future__ import annotations

import warnings

import pytest
import torch
from torch import Tensor, nn

from rnas.errors import ModelError
from rnas.feature_maps import feature_shapes, natural_layers, recorded
from rnas.networks import zoo
from rnas.networks.nasbench201 import NasBench201Network
from rnas.spaces.nasbench201 import parse_genotype


def layers_of(model: nn.Module, channels: int = 3) -> list[str]:
    return natural_layers(model, feature_shapes(model.eval(), torch.rand(2, channels, 16, 16)))


def named(name: str, count: int) -> list[str]:
    return [f"{name}.{index}" for index in range(count)]


class Staged(nn.Module):
    """As torchvision writes its ResNets: stages that are attributes, of two blocks each."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 4, 3)
        self.relu = nn.ReLU()
        self.layer1, self.layer2 = (nn.Sequential(nn.Conv2d(4, 4, 1), nn.Conv2d(4, 4, 1)) for _ in range(2))
        self.fc = nn.Linear(4, 2)

    def forward(self, images: Tensor) -> Tensor:
        features = self.layer2(self.layer1(self.relu(self.conv1(images))))
        return self.fc(self.relu(features).mean(dim=(2, 3)))


@pytest.mark.parametrize("name", list(zoo.NETWORKS))
def test_layers_of_the_zoo(name: str) -> None:
    card = zoo.NETWORKS[name]
    expected = {"vgg16": named("layers", 13), "mobilenet_v2": named("stages", 7)}
    for three in ("shufflenet_v2", "squeezenet", "wide_resnet_28_10", "wide_resnet_34_10"):
        expected[three] = named("stages", 3)
    default = named("stages", 4) if card.cells is None else named("cells", 3)
    model = zoo.build(name, 5, channels=4, cells=None if card.cells is None else 3)
    assert layers_of(model) == expected.get(name, default)


def test_layers_of_other_models() -> None:
    assert layers_of(Staged()) == ["conv1", "layer1", "layer2"]
    convolutions = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 4, 3), nn.ReLU())
    assert layers_of(nn.Sequential(convolutions, nn.Flatten(), nn.LazyLinear(2))) == ["0.0", "0.2"]
    wrapped = nn.Sequential(nn.Identity(), nn.Sequential(nn.BatchNorm2d(3), zoo.build("vgg16", 5, channels=2)))
    assert layers_of(wrapped) == [f"1.1.{layer}" for layer in named("layers", 13)]
    towers = nn.Sequential(*(nn.Sequential(nn.Conv2d(3, 3, 1), nn.Conv2d(3, 3, 1)) for _ in range(2)))
    assert layers_of(towers) == ["0.0", "0.1", "1.0", "1.1"]


def test_a_cell_without_convolutions_is_still_a_cell() -> None:
    skips = parse_genotype("|skip_connect~0|+|skip_connect~0|none~1|+|skip_connect~0|none~1|none~2|")
    model = NasBench201Network(skips, 5, channels=2, cells=1, in_channels=3)
    assert layers_of(model) == named("cells", 3)


def test_what_has_no_feature_maps() -> None:
    with pytest.raises(ModelError, match="no layer with feature maps"):
        layers_of(nn.Sequential(nn.Flatten(), nn.Linear(3 * 256, 2)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        compiled = torch.jit.trace(Staged(), torch.rand(2, 3, 16, 16))
    with pytest.raises(ModelError, match="compiled program"):
        layers_of(compiled)


def test_shapes_are_those_of_modules_that_ran_once_and_gave_maps() -> None:
    model = Staged()
    shapes = feature_shapes(model, torch.rand(2, 3, 16, 12))
    assert shapes["conv1"] == (4, 14, 10)
    assert "relu" not in shapes  # twice
    assert "fc" not in shapes
    assert not any(module._forward_hooks for module in model.modules())


def test_an_unknown_layer_names_the_nearest_few() -> None:
    model = zoo.build("densenet121", 5, channels=4)
    with pytest.raises(ModelError, match=r"did you mean 'stages\.3'") as caught, recorded(model, ["stage.3"]):
        pass
    assert len(str(caught.value)) < 200
    with (
        pytest.raises(ModelError, match=r"\(choices: classifier, norm, normalise, stages, stem\)"),
        recorded(model, ["qqq"]),
    ):
        pass
