"""Networks against their published parameter counts, and what a wrong description is told."""

import copy
import json
from pathlib import Path

import pytest
import torch
from torch import nn

from rnas import Genotype
from rnas.errors import ConfigError, GenotypeError, ModelError, RunError, UnknownNameError
from rnas.genotype import Cell, Edge
from rnas.models.spec import NetworkSpec, load_network
from rnas.networks import zoo
from rnas.networks.cells import CellNetwork, NetworkCell
from rnas.networks.config import NetworkConfig
from rnas.networks.normalise import Normalise


@pytest.mark.parametrize("name", list(zoo.NETWORKS))
def test_a_card_counts_as_its_network_does(name: str) -> None:
    """Parameters are the published ones; multiply-accumulates are what the listing shows without counting."""
    card = zoo.NETWORKS[name]
    network = zoo.build(name, 10)
    assert card.multiply_accumulates_millions == round(zoo.count_multiply_accumulates(network) / 1e6, 1)
    millions = zoo.count_parameters(network) / 1e6
    digits = 1 if card.genotype is None else 3
    assert round(millions, digits) == pytest.approx(card.parameters_millions)


def test_resnet18_is_counted_layer_by_layer() -> None:
    """3x3 convolutions, 1x1 shortcuts, two values a batch-norm channel, and the classifier."""
    count = 9 * 3 * 64 + 2 * 64
    inputs = 64
    for width in (64, 128, 256, 512):
        count += 9 * inputs * width + 3 * 9 * width * width + 4 * 2 * width
        count += 0 if inputs == width else inputs * width + 2 * width
        inputs = width
    assert zoo.count_parameters(zoo.build("resnet18", 10)) == count + 512 * 10 + 10


def test_multiply_accumulates_are_counted_layer_by_layer() -> None:
    """A grouped convolution at half the resolution, then a linear layer; the network keeps its mode and its values."""
    network = nn.Sequential(
        nn.Conv2d(4, 6, 3, stride=2, padding=1, groups=2), nn.BatchNorm2d(6), nn.Flatten(), nn.Linear(96, 5)
    )
    before = copy.deepcopy(network.state_dict())
    assert zoo.count_multiply_accumulates(network, (4, 8, 8)) == 4 * 4 * 6 * (4 // 2) * 9 + 96 * 5
    assert network.training
    assert all(torch.equal(before[key], value) for key, value in network.state_dict().items())


def test_a_network_of_ones_own_is_built_saved_and_loaded_by_name(tmp_path: Path) -> None:
    @zoo.register("linear_of_ones_own", source="this test", channels=3)
    class Linear(nn.Module):
        def __init__(self, num_classes: int, *, in_channels: int, channels: int) -> None:
            super().__init__()
            self.layers = nn.Sequential(nn.Conv2d(in_channels, channels, 1), nn.Flatten(), nn.LazyLinear(num_classes))

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return self.layers(images)

    spec = NetworkSpec.of(NetworkConfig(name="linear_of_ones_own"), num_classes=2, in_channels=1)
    spec.save(tmp_path)
    assert isinstance(NetworkSpec.load(tmp_path).build(seed=0), Linear)
    with pytest.raises(ValueError, match="registered already"):
        zoo.NETWORKS.register("linear_of_ones_own", source="again", channels=1)(Linear)


def test_unknown_names_and_settings_are_refused() -> None:
    with pytest.raises(UnknownNameError, match=r"did you mean 'resnet18'\?"):
        zoo.build("resnet81", 10)
    with pytest.raises(ConfigError, match="not made of cells"):
        zoo.build("resnet18", 10, cells=8)


def genotype(*nodes: tuple[Edge, ...], concat: tuple[int, ...] = (2,)) -> Genotype:
    cell = Cell(nodes=nodes, concat=concat)
    return Genotype({"normal": cell, "reduce": cell})


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        (genotype((Edge("sep_conv_4x4", 0),)), "cell 'normal', node 2, edge 0: .*did you mean 'sep_conv_"),
        (genotype((Edge("none", 0),), (), concat=(2, 3)), "node 3: no incoming edge"),
        (genotype((Edge("none", 0),), concat=(0, 2)), "concat names the input 0"),
        (Genotype({"normal": Cell(((Edge("none", 0),),), (2,))}), "no 'reduce' cell"),
        (Genotype({"normal": Cell(((Edge("none", 0),),), (1,), inputs=1)}), "has 1 inputs, expected 2"),
    ],
)
def test_a_genotype_that_cannot_be_built_is_named_to_the_edge(bad: Genotype, words: str) -> None:
    with pytest.raises(GenotypeError, match=words):
        CellNetwork(bad, 10, channels=2, cells=3)


def test_a_one_edge_cell_of_skips_passes_its_input_through() -> None:
    """With identity edges a node is the sum of its sources."""
    skip = genotype((Edge("skip_connect", 0), Edge("skip_connect", 1)))
    network = CellNetwork(skip, 4, channels=3, cells=3).eval()
    cell = network.cells[0]
    assert isinstance(cell, NetworkCell)
    before, previous = torch.randn(2, 9, 5, 5), torch.randn(2, 9, 5, 5)
    expected = cell.adapt_before_previous(before) + cell.adapt_previous(previous)
    assert torch.equal(cell(before, previous), expected)


def test_normalisation_takes_exact_moments() -> None:
    images = torch.randint(0, 256, (50, 3, 6, 6), dtype=torch.uint8)
    layer = Normalise(3)
    layer.fit(images)
    normalised = layer(images.float() / 255)
    assert normalised.mean(dim=(0, 2, 3)).abs().max() < 1e-5
    assert (normalised.std(dim=(0, 2, 3), correction=0) - 1).abs().max() < 1e-5


def test_a_constant_channel_does_not_divide_by_zero() -> None:
    layer = Normalise(1)
    layer.fit(torch.full((4, 1, 3, 3), 7, dtype=torch.uint8))
    assert layer(torch.full((1, 1, 3, 3), 7 / 255)).abs().max() < 1e-5


@pytest.mark.parametrize(
    "config", [NetworkConfig(name="resnet18", channels=2), NetworkConfig(name="racl", channels=2, cells=3)]
)
def test_a_saved_network_comes_back_whole(config: NetworkConfig, tmp_path: Path) -> None:
    from rnas.run.checkpoints import save_tensors

    spec = NetworkSpec.of(config, num_classes=4, in_channels=1)
    network = spec.build(seed=3).eval()
    spec.save(tmp_path)
    with pytest.raises(ModelError, match="not finished"):
        load_network(tmp_path)
    save_tensors(tmp_path / "weights.safetensors", network.state_dict())
    images = torch.rand(2, 1, 8, 8)
    assert torch.equal(load_network(tmp_path)(images), network(images))
    assert (tmp_path / "genotype.json").exists() == (config.name == "racl")


def test_weights_follow_from_the_seed_and_leave_the_global_state_alone() -> None:
    spec = NetworkSpec.of(NetworkConfig(name="resnet18", channels=2), num_classes=2, in_channels=1)
    state = torch.get_rng_state()
    first, second, other = spec.build(seed=1), spec.build(seed=1), spec.build(seed=2)
    assert torch.equal(torch.get_rng_state(), state)
    pairs = list(zip(first.parameters(), second.parameters(), strict=True))
    assert all(torch.equal(a, b) for a, b in pairs)
    assert not all(torch.equal(a, b) for a, b in zip(first.parameters(), other.parameters(), strict=True))


def test_a_description_must_say_which_network_and_only_one(tmp_path: Path) -> None:
    for config in (NetworkConfig(), NetworkConfig(name="racl", genotype="x.json")):
        with pytest.raises(ConfigError, match="expected a name"):
            NetworkSpec.of(config, num_classes=2, in_channels=1)
    with pytest.raises(GenotypeError, match="no such genotype file"):
        NetworkSpec.of(NetworkConfig(genotype=str(tmp_path / "none.json")), num_classes=2, in_channels=1)
    with pytest.raises(RunError, match=r"no model\.json"):
        NetworkSpec.load(tmp_path)
    (tmp_path / "model.json").write_text(json.dumps({"network": "resnet18"}))
    with pytest.raises(RunError, match="damaged"):
        NetworkSpec.load(tmp_path)
