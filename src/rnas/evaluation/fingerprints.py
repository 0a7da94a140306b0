"""Fingerprints of what outcomes belong to, so that outcomes of another model or other images are recognised."""

from __future__ import annotations

import hashlib
import itertools

import torch
from torch import Tensor, nn

__all__ = ["as_floats", "images_fingerprint", "model_fingerprint"]

CHUNK = 1024
"""Images hashed at once: uint8 images are never a float copy as a whole."""


def model_fingerprint(model: nn.Module) -> str:
    """A hash of a model's structure, parameters and buffers.

    Args:
        model: on any device; its mode does not matter.

    Returns:
        SHA-256 in hexadecimal.
    """
    digest = hashlib.sha256(repr(model).encode())
    for name, tensor in itertools.chain(model.named_parameters(), model.named_buffers()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(_bytes(tensor))
    return digest.hexdigest()


def images_fingerprint(images: Tensor, labels: Tensor) -> str:
    """A hash of images and their labels, the same for uint8 images and for their float form.

    Args:
        images: (N, C, H, W), uint8, or floating point in [0, 1].
        labels: (N,), integers.

    Returns:
        SHA-256 in hexadecimal.
    """
    digest = hashlib.sha256(str(tuple(images.shape)).encode())
    for chunk in images.split(CHUNK):
        digest.update(_bytes(as_floats(chunk)))
    digest.update(_bytes(labels.long()))
    return digest.hexdigest()


def as_floats(images: Tensor) -> Tensor:
    """Images as models take them.

    Args:
        images: uint8, or floating point in [0, 1].

    Returns:
        float32 in [0, 1].
    """
    return images.float() / 255 if images.dtype == torch.uint8 else images.float()


def _bytes(tensor: Tensor) -> bytes:
    return tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()
