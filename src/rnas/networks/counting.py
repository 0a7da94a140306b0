"""How large a network is: learned values, and multiply-accumulates of one image."""

from __future__ import annotations

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from rnas.attacks.guards import evaluation_mode

__all__ = ["count_multiply_accumulates", "count_parameters"]


def count_parameters(network: nn.Module) -> int:
    """The number of learned values of a network."""
    return sum(parameter.numel() for parameter in network.parameters())


def count_multiply_accumulates(network: nn.Module, image: tuple[int, int, int] = (3, 32, 32)) -> int:
    """The multiply-accumulates of one image in evaluation mode: those of convolutions and matrix products.

    Counted by torch's own counter, half of its floating-point operations, in a pass over one image that leaves the
    network as it is.

    Args:
        network: any network of images.
        image: its shape (C, H, W).
    """
    device = next((parameter.device for parameter in network.parameters()), None)
    counter = FlopCounterMode(display=False)
    with evaluation_mode(network), torch.no_grad(), counter:
        network(torch.zeros(1, *image, device=device))
    return counter.get_total_flops() // 2
