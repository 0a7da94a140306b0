"""The memory layout that convolutions are fast in on a CPU, channels_last, where it is safe.

With torch 2.13 on processors without AVX-512, the gradient in the weights of a 1x1 convolution of stride 2 with fewer
than 8 input channels is written outside of its memory in that layout (`benchmarks/convolution_layouts.py` looks for
such shapes). Our own networks have no such convolution; a user's may.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

__all__ = ["use_channels_last"]

#: Channels of a vector register of AVX2 in float32.
NARROW = 8


def use_channels_last(network: nn.Module) -> None:
    """Lay a network's weights out in channels_last, but for modules that might compute outside of their memory.

    These get their inputs in PyTorch's default layout, and compute the same.

    Args:
        network: changed in place.
    """
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    for module in network.modules():
        if _is_unsafe(module):
            module.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
            module.register_forward_pre_hook(_make_contiguous, with_kwargs=True)


def _is_unsafe(module: nn.Module) -> bool:
    """Whether a module owns a narrow 1x1 kernel, and may apply it with a stride."""
    if isinstance(module, nn.Conv2d) and module.stride == (1, 1):
        return False
    kernels = [kernel for kernel in module.parameters(recurse=False) if kernel.dim() == 4]
    return any(kernel.shape[1] < NARROW and kernel.shape[2:] == (1, 1) for kernel in kernels)


def _make_contiguous(
    _module: nn.Module, inputs: tuple[Any, ...], named: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    def contiguous(value: Any) -> Any:
        return value.contiguous() if isinstance(value, Tensor) else value

    return tuple(map(contiguous, inputs)), {name: contiguous(value) for name, value in named.items()}
