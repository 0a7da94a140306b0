"""NASWOT: how differently a network's ReLUs answer different images.

    log det K,   K[i, j] = number of ReLU outputs that are on, or off, for both image i and image j

References:
    Mellor et al. 2021, "Neural Architecture Search without Training" (https://arxiv.org/abs/2006.04647), Eq. 2.

Deviations:
    None of the published code: K is summed over all ReLU modules, batch norms take the statistics of the batch.
    Equal images make K singular; the score is then minus infinity.
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from rnas.errors import ModelError
from rnas.scores.registry import SCORES


@SCORES.register("nwot", passes=1)
def nwot(network: nn.Module, images: Tensor, labels: Tensor, generator: torch.Generator) -> float:  # noqa: ARG001
    """The log-determinant of the kernel of activation patterns."""
    kernel = torch.zeros(len(images), len(images), dtype=torch.float64, device=images.device)
    watched = copy.deepcopy(network).train()
    relus = [module for module in watched.modules() if isinstance(module, nn.ReLU | nn.ReLU6)]
    if not relus:
        raise ModelError("nwot looks at ReLU modules, and the network has none; choose another score")

    def count(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:  # noqa: ARG001 - a hook
        on = (output.flatten(1) > 0).to(torch.float32)
        off = 1 - on
        kernel.add_((on @ on.T + off @ off.T).double())

    for relu in relus:
        relu.register_forward_hook(count)
    with torch.no_grad():
        watched(images)
    return float(torch.linalg.slogdet(kernel).logabsdet)
