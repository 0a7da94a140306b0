"""Does a model normalise the images by itself?"""

from __future__ import annotations

from contextlib import suppress
from functools import partial

import torch
from torch import Tensor, nn

from rnas.attacks.guards import Model
from rnas.evaluation.watched import WatchedModel

__all__ = ["normalises"]


def normalises(model: Model, images: Tensor) -> bool:
    """Whether a layer of a model takes the images and shifts and scales their channels, or a buffer says so by name.

    The first is asked of all layers that Python runs. Compiled programs hide theirs, but an exported one keeps the
    names of its buffers.

    Args:
        model: images to logits, in evaluation mode; left as it was.
        images: (N, C, H, W), floats in [0, 1], on the model's device.
    """
    if not isinstance(model, nn.Module):
        return False
    if any("normalis" in name or "normaliz" in name for name, _ in model.named_buffers()):
        return True
    found: list[bool] = []

    def look(_module: nn.Module, inputs: tuple[object, ...], output: object, *, images: Tensor) -> None:
        first = inputs[0] if inputs else None
        if isinstance(first, Tensor) and isinstance(output, Tensor) and first.shape == output.shape == images.shape:
            found.append(torch.equal(first, images) and _shifts_and_scales(images, output))

    hooks = []
    try:
        for part in model.modules():
            # Compiled parts take no hooks.
            with suppress(RuntimeError):
                hooks.append(part.register_forward_hook(partial(look, images=images)))
        WatchedModel(model)(images)
    finally:
        for hook in hooks:
            hook.remove()
    return any(found)


def _shifts_and_scales(images: Tensor, output: Tensor) -> bool:
    """Whether each channel of an output is a * x + b, x the images' channel, and not a = 1, b = 0 in all of them."""
    before, after = (part.detach().double().transpose(0, 1).flatten(1) for part in (images, output))
    mean = before.mean(dim=1, keepdim=True)
    variance = ((before - mean) ** 2).mean(dim=1, keepdim=True)
    slope = ((before - mean) * after).mean(dim=1, keepdim=True) / variance.clamp_min(1e-12)
    missed = (after - after.mean(dim=1, keepdim=True) - slope * (before - mean)).abs().amax()
    same = bool((after - before).abs().amax() < 1e-3)
    return not same and bool((slope > 0).all()) and bool(missed <= 1e-3 * after.abs().amax())
