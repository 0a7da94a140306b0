"""Eq. 1 as stated: a softmax over alpha mixes the operations, and extremes of alpha select one."""

import pytest
import torch
from torch import nn

from rnas.networks.cells import CellNetwork
from rnas.networks.operations import build_operation
from rnas.spaces import darts
from rnas.supernets.base import SupernetAt
from rnas.supernets.darts.derive import derive_genotype
from rnas.supernets.darts.reference import Supernet, mixed_operation
from rnas.supernets.space import SPACES


def small(cells: int = 3, channels: int = 2) -> Supernet:
    torch.manual_seed(0)
    return Supernet(5, channels=channels, cells=cells, in_channels=1)


def test_the_space_is_that_of_darts() -> None:
    assert len(darts.OPERATIONS) == 8
    assert len(darts.EDGES) == 14  # 2 + 3 + 4 + 5
    kinds = [darts.kind_of_cell(index, 8) for index in range(8)]
    assert kinds == ["normal", "normal", "reduce", "normal", "normal", "reduce", "normal", "normal"]


@pytest.mark.parametrize("stride", [1, 2])
def test_a_mixed_operation_is_the_weighted_sum_of_its_operations(stride: int) -> None:
    torch.manual_seed(0)
    mixed = mixed_operation(4, stride).double().eval()
    x = torch.randn(2, 4, 7, 7, dtype=torch.float64)
    weights = torch.rand(8, dtype=torch.float64)
    expected = sum(weight * operation(x) for weight, operation in zip(weights, mixed.operations, strict=True))
    assert torch.allclose(mixed(x, weights, [True] * 8), torch.as_tensor(expected))


def test_pooling_is_normalised_and_nothing_is_affine() -> None:
    supernet = small()
    for name, module in supernet.named_modules():
        if isinstance(module, nn.BatchNorm2d) and name.startswith("cells"):
            assert not module.affine
    pools = [module for module in supernet.modules() if isinstance(module, (nn.MaxPool2d, nn.AvgPool2d))]
    assert len(pools) == 3 * 14 * 2


def test_forward_shapes_and_gradient_reach_every_edge() -> None:
    supernet = small()
    alpha = supernet.initial_alpha(torch.Generator().manual_seed(0)).requires_grad_()
    assert alpha.shape == (2, 14, 8)
    logits = supernet(torch.rand(3, 1, 8, 8), alpha)
    assert logits.shape == (3, 5)
    (gradient,) = torch.autograd.grad(logits.square().sum(), alpha)
    assert (gradient.abs().sum(dim=-1) > 0).all()


def test_logits_move_with_alpha_by_its_gradient() -> None:
    """Central differences in float64."""
    supernet = small().double().eval()
    images = torch.rand(2, 1, 6, 6, dtype=torch.float64)
    alpha = torch.randn(2, 14, 8, dtype=torch.float64, requires_grad=True)
    direction = torch.randn(alpha.shape, dtype=torch.float64)
    (gradient,) = torch.autograd.grad(supernet(images, alpha)[0, 0], alpha)
    step = 1e-6
    with torch.no_grad():
        ahead, behind = supernet(images, alpha + step * direction), supernet(images, alpha - step * direction)
    assert (gradient * direction).sum().item() == pytest.approx(float((ahead - behind)[0, 0] / (2 * step)), rel=1e-5)


def test_the_view_at_given_weights_is_an_ordinary_network() -> None:
    supernet = small()
    alpha = supernet.initial_alpha()
    view = SupernetAt(supernet, alpha.softmax(dim=-1)).eval()
    images = torch.rand(2, 1, 8, 8)
    assert torch.equal(view(images), supernet(images, alpha))
    assert set(view.cell_layers) <= {name for name, _ in view.named_modules()}


def test_derivation_keeps_the_two_strongest_edges_and_never_none() -> None:
    alpha = torch.zeros(2, 14, 8)
    none, skip, sep = (darts.OPERATIONS.index(name) for name in ("none", "skip_connect", "sep_conv_3x3"))
    alpha[..., none] = 9.0  # the strongest everywhere, and never chosen
    alpha[0, darts.EDGES.index((4, 5)), sep] = 8.0
    alpha[0, darts.EDGES.index((1, 5)), skip] = 7.0
    genotype = derive_genotype(alpha)
    last = genotype["normal"].nodes[3]
    assert [(edge.op, edge.source) for edge in last] == [("sep_conv_3x3", 4), ("skip_connect", 1)]
    for kind in genotype.kinds:
        for node in genotype[kind].nodes:
            assert len(node) == 2
            assert len({edge.source for edge in node}) == 2
            assert all(edge.op != "none" for edge in node)
    assert genotype["normal"].concat == (2, 3, 4, 5)
    CellNetwork(genotype, 3, channels=2, cells=3)


def test_mean_none_weight_is_the_softmax_mean() -> None:
    assert SPACES["darts"].none_weight(torch.zeros(2, 14, 8)) == pytest.approx(1 / 8)


def test_separable_convolutions_contain_what_their_names_say() -> None:
    for name, kernel, dilation, depth in (("sep_conv_5x5", 5, 1, 2), ("dil_conv_3x3", 3, 2, 1)):
        operation = build_operation(name, 4, 1, affine=False)
        depthwise = [module for module in operation.modules() if isinstance(module, nn.Conv2d) and module.groups == 4]
        assert len(depthwise) == depth
        assert all(module.kernel_size == (kernel, kernel) for module in depthwise)
        assert depthwise[0].dilation == (dilation, dilation)
