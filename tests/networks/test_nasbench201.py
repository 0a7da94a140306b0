"""The networks of NAS-Bench-201: sizes in closed form, and what their cells compute."""

import random

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rnas.errors import GenotypeError
from rnas.networks.nasbench201 import NasBench201Network, NetworkCell, Reduction, build_edge
from rnas.networks.zoo import count_parameters
from rnas.spaces import nasbench201 as space

CONNECTED = [cell for cell in space.all_cells() if space.is_connected(cell)]
SOME = random.Random(0).sample(CONNECTED, 12)


@pytest.mark.parametrize("cell", SOME, ids=space.format_operations)
def test_size_is_the_closed_form(cell: space.Operations) -> None:
    for options in ({}, {"channels": 8, "cells": 1, "in_channels": 1}):
        with torch.device("meta"):
            network = NasBench201Network(space.genotype_of(cell), 10, **options)
        assert count_parameters(network) == space.count_parameters(cell, **options)


def test_the_network_is_that_of_the_benchmark() -> None:
    network = NasBench201Network(space.genotype_of(["nor_conv_3x3"] * 6), 10)
    assert count_parameters(network) == 1531546  # published: 1.531546 M
    assert len(network.cells) == 15
    shapes: list[torch.Size] = []
    for cell in network.cells:
        cell.register_forward_hook(lambda _module, _inputs, output: shapes.append(output.shape))
    logits = network.eval()(torch.rand(2, 3, 32, 32))
    assert logits.shape == (2, 10)
    assert shapes == [(2, channels, size, size) for channels, size in ((16, 32), (32, 16), (64, 8)) for _ in range(5)]


@pytest.mark.parametrize("size", [(8, 8), (9, 7)])
def test_forward_and_backward_reach_the_images(size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    network = NasBench201Network(space.genotype_of(SOME[0]), 5, channels=4, cells=1, in_channels=1)
    images = torch.rand(3, 1, *size, requires_grad=True)
    (gradient,) = torch.autograd.grad(network(images).square().sum(), images)
    assert gradient.abs().sum() > 0


def test_a_cell_is_the_sum_over_edges() -> None:
    """Against the cell written out by hand; the operations of its edges are not equal by accident."""
    torch.manual_seed(0)
    operations = ("nor_conv_3x3", "avg_pool_3x3", "skip_connect", "none", "nor_conv_1x1", "skip_connect")
    cell = NetworkCell(operations, 3).double().eval()
    for module in cell.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.weight)
            nn.init.normal_(module.bias)
    x = torch.randn(2, 3, 6, 6, dtype=torch.float64)

    def convolve(edge: int, value: Tensor, padding: int) -> Tensor:
        convolution, norm = cell.edges[edge].get_submodule("1"), cell.edges[edge].get_submodule("2")
        assert isinstance(convolution, nn.Conv2d)
        return norm(F.conv2d(value.clamp(min=0), convolution.weight, padding=padding))

    first = convolve(0, x, 1)
    ones = F.pad(torch.ones_like(x), (1, 1, 1, 1))
    second = F.avg_pool2d(F.pad(x, (1, 1, 1, 1)), 3, 1) / F.avg_pool2d(ones, 3, 1) + first
    assert torch.allclose(cell(x), convolve(4, first, 0) + second)


def test_dead_edges_do_not_change_what_a_cell_computes() -> None:
    torch.manual_seed(0)
    operations = ("nor_conv_3x3", "none", "nor_conv_1x1", "nor_conv_3x3", "none", "none")
    cell = NetworkCell(operations, 3).eval()
    pruned = NetworkCell(space.without_dead_edges(operations), 3).eval()
    pruned.load_state_dict({key: value for key, value in cell.state_dict().items() if key.startswith("edges.3.")})
    x = torch.randn(2, 3, 6, 6)
    assert torch.equal(cell(x), pruned(x))


def test_the_block_between_stages_averages_in_its_shortcut() -> None:
    torch.manual_seed(0)
    block = Reduction(2).eval()
    for name, parameter in block.named_parameters():
        if name.startswith("second"):
            nn.init.zeros_(parameter)  # leaves the shortcut
    x = torch.randn(1, 2, 6, 4)
    convolution = block.shortcut.get_submodule("1")
    averaged = x.reshape(1, 2, 3, 2, 2, 2).mean(dim=(3, 5))
    assert torch.allclose(block(x), convolution(averaged), atol=1e-6)


def test_affine_is_a_choice_and_a_disconnected_cell_is_refused() -> None:
    assert not list(build_edge("nor_conv_3x3", 4, affine=False).get_submodule("2").parameters())
    with pytest.raises(GenotypeError, match="disconnected cell"):
        NasBench201Network(space.genotype_of(["nor_conv_3x3"] * 3 + ["none"] * 3), 10)
