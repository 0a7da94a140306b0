"""A network as its attacks see it: in evaluation mode, with batch norm folded into the convolutions before it.

With running statistics batch norm is an affine map of each channel, so the convolution before it can do it as well:
the same function of the images, without a pass through memory for each norm, forward and backward. Where convolutions
are concatenated before the norm, each does its own channels. A norm before an activation and a convolution, as in
WideResNet and DenseNet, stays: the activation between them is not linear.
"""

from __future__ import annotations

import copy
from collections import Counter
from typing import NamedTuple

import torch
from torch import Tensor, fx, nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

__all__ = ["FoldedNetwork"]


class Fold(NamedTuple):
    """A convolution of the copy, with the convolution and the channels of the norm that it stands for."""

    target: nn.Conv2d
    source: nn.Conv2d
    norm: nn.BatchNorm2d
    channels: slice


class FoldedNetwork:
    """A folded copy of a network, made once and brought up to date before each attack.

    Batch norms that do not directly follow convolutions stay; so do all in a network that torch.fx cannot trace.

    Args:
        network: any module; it is not changed. The copy has its hooks too, so what only training needs is added later.
    """

    def __init__(self, network: nn.Module) -> None:
        self.folded = copy.deepcopy(network).eval().requires_grad_(False)
        self.folds: list[Fold] = []
        originals = dict(network.named_modules())
        changed: set[str] = set()
        for norm, convolutions in foldable(self.folded).items():
            following, first = originals[norm], 0
            assert isinstance(following, nn.BatchNorm2d)
            for convolution in convolutions:
                target, source = self.folded.get_submodule(convolution), originals[convolution]
                assert isinstance(target, nn.Conv2d)
                assert isinstance(source, nn.Conv2d)
                target.bias = nn.Parameter(target.weight.new_zeros(target.out_channels), requires_grad=False)
                last = first + target.out_channels
                self.folds.append(Fold(target, source, following, slice(first, last)))
                first = last
                changed |= {f"{convolution}.weight", f"{convolution}.bias"}
            self.folded.set_submodule(norm, nn.Identity())
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
        for folded, convolution, norm, channels in self.folds:
            assert norm.running_mean is not None
            assert norm.running_var is not None
            assert folded.bias is not None
            weight, bias = fuse_conv_bn_weights(
                convolution.weight,
                convolution.bias,
                norm.running_mean[channels],
                norm.running_var[channels],
                norm.eps,
                None if norm.weight is None else norm.weight[channels],
                None if norm.bias is None else norm.bias[channels],
            )
            folded.weight.copy_(weight)
            folded.bias.copy_(bias)
        return self.folded


def foldable(network: nn.Module) -> dict[str, list[str]]:
    """Batch norms by name, each with the convolutions, concatenated in this order, whose outputs only it takes."""
    try:
        graph = fx.Tracer().trace(network)
    except Exception:
        # A forward pass may say anything to values that are not there yet; then nothing is folded.
        return {}
    modules = dict(network.named_modules())
    calls = Counter(node.target for node in graph.nodes if node.op == "call_module")

    def single(node: fx.Node, kind: type[nn.Module]) -> bool:
        """Whether a node is the only call of a module of exactly this kind."""
        return node.op == "call_module" and type(modules[str(node.target)]) is kind and calls[node.target] == 1

    found = {}
    for node in graph.nodes:
        if not single(node, nn.BatchNorm2d) or not modules[node.target].track_running_stats:
            continue
        before = node.all_input_nodes[0]
        parts = before.all_input_nodes if concatenates_channels(before) else [before]
        users = {user for part in (before, *parts) for user in part.users} - {before, node}
        if users or not all(single(part, nn.Conv2d) for part in parts):
            continue
        convolutions = [str(part.target) for part in parts]
        # Not so where a map is concatenated with itself.
        if sum(modules[name].out_channels for name in convolutions) == modules[node.target].num_features:
            found[node.target] = convolutions
    return found


def concatenates_channels(node: fx.Node) -> bool:
    """Whether a node puts maps side by side in the dimension of channels."""
    return node.target is torch.cat and (*node.args[1:], *node.kwargs.values()) == (1,)
