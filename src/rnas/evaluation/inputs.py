"""What of a model and images can be refused at once, and what is wrong with it in one line."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from rnas.attacks.guards import TOLERANCE, Model, evaluation_mode
from rnas.errors import DataError, ModelError
from rnas.evaluation.fingerprints import as_floats
from rnas.evaluation.suite import ATTACKS

__all__ = ["check_data", "check_model", "check_second_model", "device_of"]


def device_of(model: Model, images: Tensor) -> torch.device:
    """Where a model computes: the device of its parameters, or where it has none that of the images."""
    tensor = next(model.parameters(), None) if isinstance(model, nn.Module) else None
    return images.device if tensor is None else tensor.device


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
                "normalisation belongs into the model, as its first layer"
            )
    if int(labels.min()) < 0:
        raise DataError(f"expected labels >= 0, got {int(labels.min())}")


def check_model(
    model: Model, images: Tensor, labels: Tensor, attacks: Sequence[str], expected_classes: int | None
) -> None:
    """Fail within one forward pass rather than after an hour of attacks."""
    if not callable(model):
        raise ModelError(f"expected a model that can be called, got {type(model).__name__}")
    if isinstance(model, nn.Module):
        devices = sorted({str(tensor.device) for tensor in itertools.chain(model.parameters(), model.buffers())})
        if len(devices) > 1 or devices == ["meta"]:
            raise ModelError(f"expected the model on one device, with its values, got it on {' and '.join(devices)}")
    shape = tuple(images.shape[1:])
    try:
        logits = model(as_floats(images[:2].to(device_of(model, images))))
    except Exception as error:
        reason = (str(error) or "no message").splitlines()[0]
        raise ModelError(f"the model cannot take images of shape {shape}: {type(error).__name__}: {reason}") from error
    expected = len(images[:2])
    if not isinstance(logits, Tensor) or logits.dim() != 2 or len(logits) != expected:
        came = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
        raise ModelError(f"expected logits of shape ({expected}, classes) for {expected} images, got {came}")
    if not bool(logits.isfinite().all()):
        raise ModelError("the model's logits are not finite")
    classes, highest = logits.shape[1], int(labels.max())
    if expected_classes not in (None, classes):
        raise ModelError(f"the model tells {classes} classes apart, the data has {expected_classes}")
    if highest >= classes:
        raise ModelError(f"the model tells {classes} classes apart, but the labels go up to {highest}")
    for name in attacks:
        if classes < ATTACKS[name].least_classes:
            least = ATTACKS[name].least_classes
            raise ModelError(f"{ATTACKS[name].title} needs at least {least} classes, the model has {classes}")


def check_second_model(
    second_model: tuple[str, nn.Module],
    images: Tensor,
    labels: Tensor,
    attacks: Sequence[str],
    expected_classes: int | None,
) -> None:
    """The same for the model that transfer attacks, whose name the message gives."""
    name, model = second_model
    try:
        with evaluation_mode(model), torch.no_grad():
            check_model(
                model, images, labels, [attack for attack in attacks if ATTACKS[attack].transfers], expected_classes
            )
    except ModelError as error:
        raise ModelError(f"second model {name}: {error}") from error
