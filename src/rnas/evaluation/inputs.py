"""Refuse a model or images at once, and say in one line what is wrong."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from rnas.attacks.guards import TOLERANCE, Model, evaluation_mode
from rnas.errors import DataError, ModelError, reason_of
from rnas.evaluation.fingerprints import as_floats
from rnas.evaluation.suite import too_few_classes
from rnas.evaluation.watched import WatchedModel

__all__ = ["as_tensor", "check_data", "check_model", "device_of"]


def device_of(model: Model, images: Tensor) -> torch.device:
    """Where a model computes: on the device of its parameters, or of the images where it has none."""
    tensor = next(model.parameters(), None) if isinstance(model, nn.Module) else None
    return images.device if tensor is None else tensor.device


def as_tensor(values: object, what: str) -> Tensor:
    """Images or labels as a tensor, from a tensor, a numpy array, or lists of numbers.

    Raises:
        DataError: if they are something else; the line names `what` it should be.
    """
    if isinstance(values, Tensor):
        return values
    try:
        array = np.asarray(values)
        # torch warns of arrays that may not be written to, and refuses those that run backwards.
        return torch.from_numpy(np.array(array) if not array.flags.writeable else np.ascontiguousarray(array))
    except (TypeError, ValueError, RuntimeError) as error:
        came = f"{type(values).__name__} ({reason_of(error)})"
        raise DataError(f"expected {what} as a tensor or an array, got {came}") from error


def check_data(images: Tensor, labels: Tensor) -> None:
    """Refuse images and labels that no evaluation can use; arguments and errors are those of `evaluate`."""
    if images.dim() != 4 or not (images.dtype == torch.uint8 or images.is_floating_point()):
        raise DataError(
            f"expected images (N, C, H, W), uint8 or floating point, got {images.dtype} {tuple(images.shape)}"
        )
    if images.numel() == 0:
        raise DataError(f"expected at least one image, got shape {tuple(images.shape)}")
    if labels.shape != images.shape[:1] or labels.is_floating_point() or labels.dtype == torch.bool:
        raise DataError(f"expected {len(images)} integer labels, got {labels.dtype} of shape {tuple(labels.shape)}")
    if images.dtype != torch.uint8:
        lowest, highest = torch.stack(images.detach().aminmax()).tolist()
        if not (lowest >= -TOLERANCE and highest <= 1 + TOLERANCE):
            raise DataError(
                f"expected finite images in [0, 1], got values from {lowest:.6g} to {highest:.6g}: "
                "normalisation belongs in the model, as its first layer"
            )
    if int(labels.min()) < 0:
        raise DataError(f"expected labels >= 0, got {int(labels.min())}")


def check_model(
    model: Model, images: Tensor, labels: Tensor, *, attacks: Sequence[str] = (), classes: int | None = None
) -> None:
    """Fail within two passes rather than after an hour of attacks.

    Args:
        model: images to logits (N, classes); evaluated in evaluation mode, and left as it was.
        images: (N, C, H, W), uint8, or floating point in [0, 1]; at least one.
        labels: (N,), integers.
        attacks: that the model shall take.
        classes: of the data; None takes any number that covers the labels.

    Raises:
        ModelError: if the model cannot take the images, returns no logits or others than the data ask for, or has too
            few classes for an attack.
    """
    if not callable(model):
        raise ModelError(f"expected a model that can be called, got {type(model).__name__}")
    if isinstance(model, nn.Module):
        devices = sorted({str(tensor.device) for tensor in itertools.chain(model.parameters(), model.buffers())})
        if len(devices) > 1 or devices == ["meta"]:
            raise ModelError(f"expected the model on one device, with its values, got it on {' and '.join(devices)}")
    watched = WatchedModel(model, tried=False)
    with evaluation_mode(model), torch.inference_mode(False), torch.no_grad():
        # Attacks end with batches of any size, also of one image.
        for count in sorted({min(2, len(images)), 1}, reverse=True):
            logits = watched(as_floats(images[:count].to(device_of(model, images))))
            if not bool(logits.isfinite().all()):
                raise ModelError("the model's logits are not finite")
    found, highest = logits.shape[1], int(labels.max())
    if classes not in (None, found):
        raise ModelError(f"the model tells {found} classes apart, the data has {classes}")
    if highest >= found:
        raise ModelError(f"the model tells {found} classes apart, but the labels go up to {highest}")
    if refusal := too_few_classes(attacks, found, "the model"):
        raise ModelError(refusal)
