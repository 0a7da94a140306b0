"""The hand-made networks: counts in closed form, what each one's design promises, and images of any size."""

import pytest
import torch
from torch import Tensor, nn

from rnas.errors import ConfigError
from rnas.networks import zoo
from rnas.networks.blocks import scaled
from rnas.networks.densenet import DenseLayer, DenseNet
from rnas.networks.mobilenet_v2 import InvertedResidual, MobileNetV2
from rnas.networks.shufflenet_v2 import ShuffleNetV2, ShuffleUnit, shuffle
from rnas.networks.squeezenet import Fire, SqueezeNet
from rnas.networks.vgg import VGG
from rnas.networks.wide_resnet import PreactivationBlock, WideResNet
from rnas.vulnerability.metrics import layer_vulnerabilities

HAND_MADE = [name for name in zoo.NETWORKS if zoo.NETWORKS[name].genotype is None]


def on_meta(name: str) -> nn.Module:
    with torch.device("meta"):
        return zoo.build(name, 10)


def shapes_of(network: nn.Module, layers: nn.Module, size: int) -> list[tuple[int, ...]]:
    """(C, H, W) of the layers' outputs for square grey images."""
    found: list[tuple[int, ...]] = []

    def note(_module: nn.Module, _inputs: object, output: Tensor) -> None:
        found.append(tuple(output.shape[1:]))

    for layer in layers.children():
        layer.register_forward_hook(note)
    with torch.no_grad():
        network.eval()(torch.rand(1, 1, size, size))
    return found


@pytest.mark.parametrize("name", HAND_MADE)
@pytest.mark.parametrize("channels", [1, 3])
def test_any_width_takes_images_of_any_size(name: str, channels: int) -> None:
    network = zoo.build(name, 3, in_channels=1, channels=channels).eval()
    with torch.no_grad():
        for height, width in ((32, 32), (16, 16), (8, 8), (5, 7), (1, 1)):
            assert network(torch.rand(2, 1, height, width)).isfinite().all()


@pytest.mark.parametrize("name", HAND_MADE)
def test_vulnerability_is_measured_by_layer_names(name: str) -> None:
    """As the paper's Fig. 1 does for two of them."""
    torch.manual_seed(0)
    network = zoo.build(name, 3, in_channels=1, channels=4)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 1.0
    network(torch.rand(8, 1, 32, 32))  # without statistics of its own, fresh weights shrink features to nothing
    network.eval()
    layers = "layers" if name == "vgg16" else "stages"
    names = [f"{layers}.{index}" for index, _ in enumerate(network.get_submodule(layers).children())]
    clean = torch.rand(2, 1, 32, 32)
    values = layer_vulnerabilities(network, names, clean, (clean + 0.1).clamp(0, 1))
    assert list(values) == names
    assert all(value > 0 for value in values.values())


@pytest.mark.parametrize("name", HAND_MADE)
def test_the_first_layer_normalises(name: str) -> None:
    network = zoo.build(name, 3, in_channels=1, channels=2)
    assert next(network.named_children())[0] == "normalise"
    assert isinstance(network.classifier, nn.Linear)


def test_a_width_is_scaled_in_proportion_and_never_zero() -> None:
    assert [scaled(24, channels, 116) for channels in (1, 58, 116, 232)] == [1, 12, 24, 48]


def test_vgg16_is_counted_layer_by_layer() -> None:
    count = 0
    inputs = 3
    for width, convolutions in ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)):
        for _ in range(convolutions):
            count += 9 * inputs * width + 2 * width
            inputs = width
    assert zoo.count_parameters(on_meta("vgg16")) == count + 512 * 10 + 10


def test_ibp_small_is_counted_layer_by_layer() -> None:
    """4x4 kernels and biases; the hidden layer sees 32 maps of 4x4."""
    count = 16 * (16 * 3 + 1) + 32 * (16 * 16 + 1) + 100 * (32 * 16 + 1) + 10 * 101
    assert zoo.count_parameters(on_meta("ibp_small")) == count
    network = zoo.build("ibp_small", 10, in_channels=1, channels=1)
    assert shapes_of(network, network.get_submodule("stages"), 8) == [(1, 4, 4), (2, 4, 4)]
    assert shapes_of(network, network.get_submodule("stages"), 9) == [(1, 5, 5), (2, 5, 5)]


def test_vgg16_has_thirteen_layers_halved_at_each_stage() -> None:
    network = VGG(10, channels=1, in_channels=1)
    assert [name for name, _ in network.named_modules() if name.count(".") == 1][:2] == ["layers.0", "layers.1"]
    shapes = shapes_of(network, network.layers, 32)
    sides = [32] * 2 + [16] * 2 + [8] * 3 + [4] * 3 + [2] * 3
    widths = [1] * 2 + [2] * 2 + [4] * 3 + [8] * 6
    assert shapes == [(width, side, side) for width, side in zip(widths, sides, strict=True)]


@pytest.mark.parametrize(("depth", "blocks"), [(28, 4), (34, 5)])
def test_a_wide_resnet_is_counted_block_by_block(depth: int, blocks: int) -> None:
    count = 9 * 3 * 16
    inputs = 16
    for width in (160, 320, 640):
        for block in range(blocks):
            count += 2 * inputs + 9 * inputs * width + 2 * width + 9 * width * width
            count += inputs * width if block == 0 else 0
            inputs = width
    network = on_meta(f"wide_resnet_{depth}_10")
    assert zoo.count_parameters(network) == count + 2 * 640 + 640 * 10 + 10
    # The depth counts the convolutions, shortcuts among them, and not the classifier.
    assert sum(isinstance(module, nn.Conv2d) for module in network.modules()) == depth


def test_a_wide_resnet_of_no_such_depth_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"depth: expected 6 n \+ 4 .* got 30"):
        WideResNet(10, depth=30, channels=1)


def test_a_preactivation_block_leaves_the_identity_path_free() -> None:
    block = PreactivationBlock(3, 3, 1)
    nn.init.zeros_(block.conv2.weight)
    x = torch.randn(2, 3, 5, 5)
    assert torch.equal(block(x), x)
    assert PreactivationBlock(3, 3, 2)(x).shape == (2, 3, 3, 3)


def test_densenet_grows_by_32_a_layer_and_transitions_halve() -> None:
    network = on_meta("densenet121")
    assert isinstance(network, DenseNet)
    width = 64
    inputs = []
    for count in (6, 12, 24, 16):
        inputs += [width + 32 * layer for layer in range(count)]
        width = (width + 32 * count) // 2
    layers = [module for module in network.modules() if isinstance(module, DenseLayer)]
    norms = [next(module for module in layer.modules() if isinstance(module, nn.BatchNorm2d)) for layer in layers]
    assert [norm.num_features for norm in norms] == inputs
    assert network.classifier.in_features == 2 * width == 1024


def test_a_dense_layer_keeps_its_input() -> None:
    x = torch.randn(2, 6, 4, 4)
    out = DenseLayer(6, 2)(x)
    assert out.shape == (2, 8, 4, 4)
    assert torch.equal(out[:, :6], x)


def test_densenet_stages_end_before_the_transitions() -> None:
    network = DenseNet(10, channels=2, layers=(2, 2, 1), in_channels=1)
    assert shapes_of(network, network.stages, 9) == [(4, 9, 9), (4, 5, 5), (3, 3, 3)]


def test_mobilenet_v2_without_its_projections_is_the_published_one() -> None:
    """The 1x1 shortcuts of the CIFAR form are all that makes 2.3 M of 2.2 M."""
    network = on_meta("mobilenet_v2")
    blocks = [module for module in network.modules() if isinstance(module, InvertedResidual)]
    projections = [block.shortcut for block in blocks if isinstance(block.shortcut, nn.Sequential)]
    # 32 to 16, 16 to 24, 64 to 96 and 160 to 320 channels
    assert sum(map(zoo.count_parameters, projections)) == 512 + 384 + 6144 + 51200 + 2 * (16 + 24 + 96 + 320)
    without = zoo.count_parameters(network) - sum(map(zoo.count_parameters, projections))
    assert round(without / 1e6, 1) == 2.2
    assert sum(block.shortcut is None for block in blocks) == 3


def test_an_inverted_residual_ends_linear() -> None:
    block = InvertedResidual(2, 3, 6, 2)
    out = block(torch.randn(4, 2, 6, 6))
    assert out.shape == (4, 3, 3, 3)
    assert out.min() < 0
    assert not any(isinstance(module, nn.ReLU6) for module in block.body[-1].modules())


def test_mobilenet_v2_halves_three_times() -> None:
    network = MobileNetV2(10, channels=2, in_channels=1)
    assert [shape[-1] for shape in shapes_of(network, network.stages, 32)] == [32, 32, 16, 8, 8, 4, 4]


def test_shuffle_interleaves_the_halves() -> None:
    x = torch.arange(6.0).view(1, 6, 1, 1)
    assert shuffle(x).flatten().tolist() == [0, 3, 1, 4, 2, 5]


def test_a_shuffle_unit_passes_half_of_its_channels() -> None:
    x = torch.randn(2, 6, 4, 4)
    out = ShuffleUnit(6, 6, 1)(x)
    assert torch.equal(out[:, ::2], x[:, :3])
    assert ShuffleUnit(5, 6, 2)(x[:, :5]).shape == (2, 6, 2, 2)


def test_shufflenet_v2_doubles_its_even_widths() -> None:
    network = ShuffleNetV2(10, channels=3, in_channels=1)
    assert shapes_of(network, network.stages, 32) == [(4, 16, 16), (8, 8, 8), (16, 4, 4)]


def test_squeezenet_classifies_pixels_and_averages() -> None:
    """A linear classifier of the mean is the mean of the published 1x1 convolution's maps."""
    network = SqueezeNet(5, channels=4, in_channels=1).eval()
    features: list[Tensor] = []
    network.stages.register_forward_hook(lambda _module, _inputs, output: features.append(output))
    with torch.no_grad():
        logits = network(torch.rand(2, 1, 16, 16))
        weight = network.classifier.weight[:, :, None, None]
        maps = nn.functional.conv2d(features[0], weight, network.classifier.bias)
    assert torch.allclose(maps.mean(dim=(2, 3)), logits, atol=1e-6)


def test_squeezenet_has_the_published_fire_modules() -> None:
    fires = [module for module in on_meta("squeezenet").modules() if isinstance(module, Fire)]
    squeezed = [16, 16, 32, 32, 48, 48, 64, 64]
    inputs = [96, *(8 * width for width in squeezed[:-1])]
    # A squeeze, a 1x1 and a 3x3 expansion to four times the squeezed width, each normalised.
    expected = [
        before * width + 2 * width + (1 + 9) * width * 4 * width + 2 * 8 * width
        for before, width in zip(inputs, squeezed, strict=True)
    ]
    assert list(map(zoo.count_parameters, fires)) == expected
