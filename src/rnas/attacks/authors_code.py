"""What lets the attack authors' own code, the package `pyautoattack`, run without its side effects on the caller.

It seeds the global generators, logs to a global logger, writes into the logits that it is given, calls `backward` and
works in float32. Here each of these ends at the attack.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from rnas.attacks.guards import Model, check_finite, image_gradient

__all__ = ["ImageModel", "Remarks", "check_norm", "check_tiles", "own_generators", "successes"]


class ImageModel:
    """A model whose backward pass ends at the images, and whose logits may be overwritten.

    FAB calls `backward`, which would add to the parameters' `.grad`; Square writes into the logits; and the attacks
    work in float32 whatever the images are.

    Args:
        model: images to logits (N, classes).
        dtype: of the images that the model takes.
        query_dtype: of what autocast can do in passes without gradients; None for no autocast.
    """

    def __init__(self, model: Model, dtype: torch.dtype, query_dtype: torch.dtype | None = None) -> None:
        self.model = model
        self.dtype = dtype
        self.query_dtype = query_dtype

    def __call__(self, images: Tensor) -> Tensor:
        images = images.to(self.dtype)
        if torch.is_grad_enabled() and images.requires_grad:
            logits: Tensor = _ImageGradient.apply(images, self.model)  # type: ignore[no-untyped-call]
            return logits.float()
        quick = self.query_dtype is not None
        with torch.no_grad(), torch.autocast(images.device.type, dtype=self.query_dtype, enabled=quick):
            return self.model(images).float().clone()


class _ImageGradient(torch.autograd.Function):
    """The model as one node of the graph, differentiable in the images only."""

    @staticmethod
    def forward(ctx: Any, images: Tensor, model: Model) -> Tensor:
        with torch.enable_grad():
            ctx.images = images.detach().requires_grad_()
            ctx.logits = model(ctx.images)
        logits: Tensor = ctx.logits.detach().clone()
        return logits

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        # The untargeted FAB asks once a class for gradients of the same logits.
        in_images = image_gradient(ctx.logits, ctx.images, gradient, retain_graph=True)
        check_finite(in_images)
        return in_images, None


class Remarks(logging.Handler):
    """Collects what the authors' code says about the model at level WARNING, by a logger of its own.

    Args:
        title: of the attack, as it begins each warning.
    """

    def __init__(self, title: str) -> None:
        super().__init__(logging.WARNING)
        self.title = title
        self.messages: list[str] = []
        self.logger = logging.Logger("rnas.attacks")
        self.logger.addHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(record.getMessage())

    def warn(self) -> None:
        """Pass them on, each once, as a `RuntimeWarning` of whoever called the guarded attack that calls this."""
        for message in dict.fromkeys(self.messages):
            warnings.warn(f"{self.title}: {message}", RuntimeWarning, stacklevel=4)


@contextmanager
def own_generators() -> Iterator[None]:
    """Inside, the global generators may be seeded; outside, they are as they were, on every accelerator."""
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        yield


def successes(images: Tensor, adversarial: Tensor) -> Tensor:
    """The images that changed, in the type of the originals; where nothing changed, the originals to the last bit.

    Args:
        images: (N, C, H, W), of any floating-point type.
        adversarial: the same in float32, unchanged where the attack failed.
    """
    changed = (adversarial != images.float()).flatten(1).any(dim=1).view(-1, 1, 1, 1)
    return torch.where(changed, adversarial.to(images.dtype), images)


def check_norm(norm: str) -> None:
    """Refuse a norm that no attack here is bounded in."""
    if norm not in ("Linf", "L2"):
        raise ValueError(f"norm: expected Linf or L2, got {norm!r}")


def check_tiles(images: Tensor) -> None:
    """Refuse images that Square's start in L2, which tiles them in fifths of their height, runs out of."""
    height, width = images.shape[-2:]
    tile = height // 5
    # The last tile in each direction has to end inside; a tile of one pixel may also lie wholly outside.
    last = [(height - 5 * tile) // 2 + tile * (length // tile) if tile else 0 for length in (height, width)]
    if tile == 0 or (tile > 1 and (last[0] > height or last[1] > width)):
        raise ValueError(f"Square in L2 cannot tile images of {height}x{width} pixels in fifths: use Linf")
