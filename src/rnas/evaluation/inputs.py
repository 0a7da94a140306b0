"""What `evaluate` refuses before the first attack, each with one line."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from rnas.attacks.guards import TOLERANCE, Model, evaluation_mode
from rnas.errors import DataError, ModelError
from rnas.evaluation.config import EvaluationConfig
from rnas.evaluation.fingerprints import as_floats
from rnas.evaluation.suite import ATTACKS

__all__ = ["check_data", "check_model", "check_second_model", "device_of"]


def device_of(model: Model, images: Tensor) -> torch.device:
    """Where the model computes: the device of its parameters, or of the images if it has none."""
    tensor = next(model.parameters(), None) if isinstance(model, nn.Module) else None
    return images.device if tensor is None else tensor.device


def check_data(images: Tensor, labels: Tensor) -> None:
    """Refuse images outside [0, 1], no images, and labels that are none.

    Raises:
        DataError: if anything of that is so.
    """
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


def check_model(model: Model, images: Tensor, labels: Tensor, config: EvaluationConfig) -> None:
    """Fail within one forward pass rather than after an hour of attacks.

    Raises:
        ModelError: if the model cannot take the images, or its logits do not fit the labels or the attacks.
    """
    if not callable(model):
        raise ModelError(f"expected a model that can be called, got {type(model).__name__}")
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
    if highest >= classes:
        raise ModelError(f"the model tells {classes} classes apart, but the labels go up to {highest}")
    for name in config.attacks:
        if classes < ATTACKS[name].least_classes:
            least = ATTACKS[name].least_classes
            raise ModelError(f"{ATTACKS[name].title} needs at least {least} classes, the model has {classes}")


def check_second_model(
    second_model: tuple[str, nn.Module], images: Tensor, labels: Tensor, config: EvaluationConfig
) -> None:
    """Refuse a second model that is made for other images or fewer classes.

    Raises:
        ModelError: if it is; the message names it.
    """
    name, model = second_model
    try:
        with evaluation_mode(model), torch.no_grad():
            check_model(model, images, labels, config)
    except ModelError as error:
        raise ModelError(f"second model {name}: {error}") from error
