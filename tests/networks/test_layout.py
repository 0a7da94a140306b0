"""What torch's CPU library would compute outside of its memory is computed in another way."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from rnas.networks.layout import use_channels_last
from rnas.networks.operations import subsample


class Functional(nn.Module):
    """A user's module that applies its kernel itself."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.kernel = nn.Parameter(torch.randn(8, in_channels, 1, 1))

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        return F.conv2d(maps, self.kernel, stride=2)


def narrow_network(in_channels: int) -> nn.Sequential:
    """Every kind of strided 1x1 convolution of few channels, behind and before ordinary ones."""
    return nn.Sequential(
        nn.Conv2d(3, in_channels, 3, padding=1),
        nn.Conv2d(in_channels, in_channels, 1, stride=2, bias=False),
        Functional(in_channels),
        nn.Conv2d(8, 2 * in_channels, 1, stride=(1, 2), groups=2),
    )


@pytest.mark.parametrize("stride", [1, 2, 3])
def test_taking_pixels_before_a_pointwise_convolution_is_a_stride_in_it(stride: int) -> None:
    maps = torch.randn(2, 3, 7, 8, dtype=torch.float64)
    kernel = torch.randn(5, 3, 1, 1, dtype=torch.float64)
    torch.testing.assert_close(F.conv2d(subsample(maps, stride), kernel), F.conv2d(maps, kernel, stride=stride))


def test_the_layout_changes_neither_function_nor_gradients_nor_names() -> None:
    torch.manual_seed(0)
    plain = narrow_network(8).double()  # wide enough to be computed in either layout
    images = torch.randn(4, 3, 8, 8, dtype=torch.float64)
    expected = plain(images)
    gradients = torch.autograd.grad(expected.square().sum(), list(plain.parameters()))
    names = list(plain.state_dict())
    use_channels_last(plain)
    assert list(plain.state_dict()) == names
    found = plain(images.to(memory_format=torch.channels_last))
    torch.testing.assert_close(found, expected)
    for ours, theirs in zip(
        torch.autograd.grad(found.square().sum(), list(plain.parameters())), gradients, strict=True
    ):
        torch.testing.assert_close(ours, theirs)


def test_no_network_writes_outside_of_its_memory() -> None:
    """In a process of its own whose memory glibc checks, so that an abort is a failed test and not the end of all."""
    program = """
        import torch
        from tests.networks.test_layout import narrow_network
        from rnas.networks import zoo
        from rnas.networks.layout import use_channels_last
        from rnas.networks.operations import FactorizedReduce

        torch.manual_seed(0)
        networks = {f"a user's, {width}": narrow_network(width) for width in range(2, 8, 2)}
        networks |= {name: zoo.build(name, 10, channels=4) for name in ("resnet18", "squeezenet", "shufflenet_v2")}
        networks["wide_resnet"] = zoo.build("wide_resnet_28_10", 10, channels=4)
        networks["skip"] = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 1), FactorizedReduce(4, 6, affine=True))
        for name, network in networks.items():
            use_channels_last(network)
            images = torch.randn(32, 3, 8, 8).to(memory_format=torch.channels_last)
            for _ in range(3):
                network(images).square().sum().backward()
            print(name)
    """
    checked = {"LD_PRELOAD": "libc_malloc_debug.so.0", "MALLOC_CHECK_": "3", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        cwd=Path(__file__).parents[2],  # where the package of these tests is found
        env={**os.environ, **checked},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, f"ended with {done.returncode} after {done.stdout.split()[-1:]}: {done.stderr[-300:]}"
