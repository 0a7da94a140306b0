"""The number of parameters, the score that all others have to beat.

References:
    Wu et al. 2024, NAS-RobBench-201 (https://openreview.net/forum?id=cdUpf6t6LZ); docs/log.md for its correlation.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from rnas.networks.counting import count_parameters
from rnas.scores.registry import SCORES


@SCORES.register("parameters", passes=0)
def parameters(network: nn.Module, images: Tensor, labels: Tensor, generator: torch.Generator) -> float:  # noqa: ARG001
    """Trainable parameters."""
    return float(count_parameters(network))
