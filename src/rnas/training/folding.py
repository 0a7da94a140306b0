"""A network as its attacks see it: in evaluation mode, with batch norm folded into the convolutions before it.

With running statistics batch norm is an affine map of each channel, so the convolution before it can do it as well:
the same function of the images, without a pass through memory for each norm, forward and backward.
"""

from __future__ import annotations

import copy
from collections import Counter

import torch
from torch import Tensor, fx, nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

__all__ = ["FoldedNetwork"]


class FoldedNetwork:
    """A folded copy of a network, made once and brought up to date before each attack.

    Batch norms that do not directly follow a convolution stay; so do all in a network that torch.fx cannot trace.

    Args:
        network: any module; it is not changed. The copy has its hooks too, so what only training needs is added later.
    """

    def __init__(self, network: nn.Module) -> None:
        self.folded = copy.deepcopy(network).eval().requires_grad_(False)
        #: Each convolution of the copy, with the convolution and the norm that it stands for.
        self.pairs: list[tuple[nn.Conv2d, nn.Conv2d, nn.BatchNorm2d]] = []
        originals = dict(network.named_modules())
        changed: set[str] = set()
        for convolution, norm in adjacent(self.folded):
            target, source = self.folded.get_submodule(convolution), originals[convolution]
            assert isinstance(target, nn.Conv2d)
            assert isinstance(source, nn.Conv2d)
            following = originals[norm]
            assert isinstance(following, nn.BatchNorm2d)
            target.bias = nn.Parameter(target.weight.new_zeros(target.out_channels), requires_grad=False)
            self.folded.set_submodule(norm, nn.Identity())
            self.pairs.append((target, source, following))
            changed |= {f"{convolution}.weight", f"{convolution}.bias"}
        values = network.state_dict(keep_vars=True)
        #: What both have, target first.
        self.same: list[tuple[Tensor, Tensor]] = [
            (tensor, values[name])
            for name, tensor in self.folded.state_dict(keep_vars=True).items()
            if name not in changed
        ]

    @torch.no_grad()
    def refresh(self) -> nn.Module:
        """The copy, computing what the network with its present weights computes in evaluation mode."""
        for target, source in self.same:
            target.copy_(source)
        for folded, convolution, norm in self.pairs:
            assert norm.running_mean is not None
            assert norm.running_var is not None
            assert folded.bias is not None
            weight, bias = fuse_conv_bn_weights(
                convolution.weight,
                convolution.bias,
                norm.running_mean,
                norm.running_var,
                norm.eps,
                norm.weight,
                norm.bias,
            )
            folded.weight.copy_(weight)
            folded.bias.copy_(bias)
        return self.folded


def adjacent(network: nn.Module) -> list[tuple[str, str]]:
    """Names of convolutions, each with that of the batch norm which alone takes its output, both called once."""
    try:
        graph = fx.Tracer().trace(network)
    except (fx.proxy.TraceError, TypeError, RuntimeError):  # whatever in it depends on the values of tensors
        return []
    modules = dict(network.named_modules())
    calls = Counter(node.target for node in graph.nodes if node.op == "call_module")
    pairs = []
    for node in graph.nodes:
        if node.op != "call_module" or type(modules[node.target]) is not nn.BatchNorm2d:
            continue
        before = node.args[0]
        if (
            before.op == "call_module"
            and type(modules[before.target]) is nn.Conv2d
            and len(before.users) == 1
            and calls[before.target] == calls[node.target] == 1
            and modules[node.target].track_running_stats
        ):
            pairs.append((before.target, node.target))
    return pairs
