"""A model of any origin, watched in every pass: whatever it does, an evaluation tells it in one line."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from rnas.attacks.guards import Model
from rnas.errors import ModelError, RnasError, reason_of

__all__ = ["WatchedModel", "telling"]


@contextmanager
def telling(what: str) -> Iterator[None]:
    """Turn what a model raises inside, `sys.exit` too, into one line.

    Args:
        what: happened, in words, as the line shall begin.

    Raises:
        ModelError: instead; not where the device is out of memory, for which the command line has advice.
    """
    try:
        yield
    except (RnasError, torch.OutOfMemoryError):
        raise
    except (Exception, SystemExit) as error:
        raise ModelError(f"{what}: {reason_of(error)}") from error


class WatchedModel:
    """A model that gets copies of the images, and whose answers are checked, all but their values.

    To look at values is to wait for an accelerator.

    Args:
        model: images (N, C, H, W) in [0, 1] to logits (N, classes).
        tried: whether it took such images before; where not, that is what an error says.
    """

    def __init__(self, model: Model, *, tried: bool = True) -> None:
        self.model = model
        self.tried = tried
        #: That the first pass told apart.
        self.classes: int | None = None

    def __call__(self, images: Tensor) -> Tensor:
        """Logits (N, classes), real floating-point numbers on the images' device.

        Raises:
            ModelError: if the model fails, or returns anything else.
        """
        shape = tuple(images.shape[1:])
        what = f"failed on {_counted(len(images))} of" if self.tried else "cannot take images of"
        with telling(f"the model {what} shape {shape}{self._precision()}"):
            # A copy, for a model may normalise in place.
            logits: object = self.model(images.clone())
        return self._checked(logits, images)

    def _checked(self, logits: object, images: Tensor) -> Tensor:
        count = len(images)
        expected = f"expected logits of shape ({count}, {self.classes or 'classes'}) for {_counted(count)}"
        if not isinstance(logits, Tensor):
            raise ModelError(f"{expected}, got {type(logits).__name__}")
        if logits.layout != torch.strided or logits.is_nested:
            raise ModelError(f"{expected} as a dense tensor, got layout {str(logits.layout).removeprefix('torch.')}")
        if logits.dim() != 2 or len(logits) != count or self.classes not in (None, logits.shape[1]):
            squeezed = count == 1 and logits.dim() == 1 and logits.numel() == self.classes
            hint = ": the model squeezes a batch of one image, and attacks make such batches" if squeezed else ""
            raise ModelError(f"{expected}, got {tuple(logits.shape)}{hint}")
        if not logits.is_floating_point():
            raise ModelError(f"expected logits that are real floating-point numbers, got {logits.dtype}")
        if logits.device != images.device:
            raise ModelError(f"expected logits on {images.device}, where the images are, got them on {logits.device}")
        self.classes = logits.shape[1]
        return logits

    def _precision(self) -> str:
        """That a model which is tried does not compute in the images' precision, in words."""
        if self.tried:
            return ""
        module = self.model if isinstance(self.model, nn.Module) else nn.Module()
        tensors = itertools.chain(module.parameters(), module.buffers())
        others = {str(tensor.dtype) for tensor in tensors if tensor.is_floating_point()} - {"torch.float32"}
        return f" in float32, its weights are {' and '.join(sorted(others))}" if others else ""


def _counted(images: int) -> str:
    return "1 image" if images == 1 else f"{images} images"
