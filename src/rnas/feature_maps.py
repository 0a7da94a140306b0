"""The feature maps of any torch model, by the names of its modules, and which layers to look at where none is named."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from functools import partial

import torch
from torch import Tensor, nn

from rnas.errors import ModelError, nearest

__all__ = ["feature_shapes", "natural_layers", "recorded"]


@contextmanager
def recorded(model: nn.Module, layers: Iterable[str]) -> Iterator[dict[str, list[object]]]:
    """Keep what some layers return while the context is open.

    Args:
        model: any model.
        layers: names as `model.named_modules()` gives them.

    Yields:
        The outputs of each layer, one for each time that it ran.

    Raises:
        ModelError: if a layer does not exist; names the nearest.
    """
    modules = dict(model.named_modules())
    outputs: dict[str, list[object]] = {layer: [] for layer in layers}
    for layer in outputs:
        if layer not in modules:
            # A large network has hundreds of names: too many for one line.
            choices = difflib.get_close_matches(layer, modules, cutoff=0.4) or dict(model.named_children())
            raise ModelError(f"the model has no layer {layer!r}{nearest(layer, choices)}")

    def keep(_module: nn.Module, _inputs: object, output: object, *, layer: str) -> None:
        outputs[layer].append(output)

    hooks = [modules[layer].register_forward_hook(partial(keep, layer=layer)) for layer in outputs]
    try:
        yield outputs
    finally:
        for hook in hooks:
            hook.remove()


@torch.no_grad()
def feature_shapes(model: nn.Module, images: Tensor) -> dict[str, tuple[int, int, int]]:
    """Channels, height and width of the maps of each module that gives feature maps, once a forward pass.

    Args:
        model: takes images in [0, 1]; in the mode in which it is.
        images: shape (N, channels, H, W).
    """
    with recorded(model, [name for name, _ in model.named_modules() if name]) as outputs:
        model(images.clone())
    return {
        name: (found[0].shape[1], found[0].shape[2], found[0].shape[3])
        for name, found in outputs.items()
        if len(found) == 1 and isinstance(found[0], Tensor) and found[0].ndim == 4
    }


def natural_layers(model: nn.Module, shapes: Collection[str]) -> list[str]:
    """The layers of a model that a plot over its depth would show.

    Of a network made of cells these are its `cells`. Of any other, a layer is a module that holds convolutions and
    gives feature maps: the parts of the model, or what the longest of its parts consists of where that is at least as
    much (the stages of a residual network, the convolutions of VGG).

    Args:
        model: any model.
        shapes: names of the modules that give feature maps, as from `feature_shapes`.

    Returns:
        Their names, in the order in which the model holds them.

    Raises:
        ModelError: if there are none.
    """
    if isinstance(cells := getattr(model, "cells", None), nn.ModuleList):
        layers = [f"cells.{index}" for index in range(len(cells))]
    else:
        name, root = unwrapped(model)
        outer = layers_in(name, root, shapes)
        inner = [layers_in(child, part, shapes) for child, part in named_children(name, root)]
        longest = max(map(len, inner), default=0)
        layers = outer if len(outer) > longest else [name for group in inner if len(group) == longest for name in group]
    if not layers:
        raise ModelError("found no layer with feature maps (a compiled program hides its layers)")
    return layers


def unwrapped(model: nn.Module) -> tuple[str, nn.Module]:
    """The model, or the only part of it that has convolutions, and so on; with its name."""
    name = ""
    while len(parts := [part for part in named_children(name, model) if convolves(part[1])]) == 1:
        if not list(parts[0][1].children()):
            break
        name, model = parts[0]
    return name, model


def named_children(name: str, module: nn.Module) -> list[tuple[str, nn.Module]]:
    """The children of a module, with their full names."""
    return [(f"{name}.{child}".removeprefix("."), part) for child, part in module.named_children()]


def layers_in(name: str, module: nn.Module, shapes: Collection[str]) -> list[str]:
    """Full names of those children of a module that hold convolutions and give feature maps."""
    return [child for child, part in named_children(name, module) if child in shapes and convolves(part)]


def convolves(module: nn.Module) -> bool:
    """Whether it holds a kernel, whatever its class is called."""
    return any(parameter.ndim == 4 for parameter in module.parameters())
