"""What holds around every attack: checked inputs, an untouched model, finite and detached images.

`guarded` turns an update rule into an attack that keeps these promises, so that each attack's own function is the rule.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar, cast

import torch
from torch import Tensor, nn

__all__ = [
    "TOLERANCE",
    "Model",
    "check_distance",
    "check_at_least",
    "check_finite",
    "check_images",
    "evaluation_mode",
    "guarded",
    "image_gradient",
    "signs",
]

Model = Callable[[Tensor], Tensor]
"""Images (N, C, H, W) in [0, 1] to logits (N, classes); almost always a torch.nn.Module."""

AttackFunction = TypeVar("AttackFunction", bound=Callable[..., Tensor])


class NotFiniteError(ValueError, ArithmeticError):
    """A model's logits or gradients are infinite or not a number."""


TOLERANCE = 1e-6
"""How far outside [0, 1] rounding may carry an image."""


@contextmanager
def evaluation_mode(model: Model) -> Iterator[None]:
    """Evaluation mode inside; outside, the mode that each single module had before, also after an exception.

    Args:
        model: a module; any other callable has no mode and is left alone.
    """
    # A frozen TorchScript program has no mode.
    modules = [part for part in model.modules() if hasattr(part, "training")] if isinstance(model, nn.Module) else []
    modes = [module.training for module in modules]
    try:
        if any(modes) and isinstance(model, nn.Module):
            model.eval()
        yield
    finally:
        for module, mode in zip(modules, modes, strict=True):
            if module.training != mode:  # torch sets attributes slowly
                module.training = mode


def guarded(attack: AttackFunction) -> AttackFunction:
    """Make an update rule an attack: check its inputs and its result, and shield the model.

    The rule is called with gradients enabled (whatever the caller's context), the model in evaluation mode, and copies
    of the images and labels.

    Args:
        attack: a function of (model, images, labels, **settings) that takes gradients with `image_gradient` only.

    Returns:
        The attack; it raises ValueError if the inputs are malformed, the logits or the gradients are not finite.
    """

    @functools.wraps(attack)
    def run(model: Model, images: Tensor, labels: Tensor, **settings: Any) -> Tensor:
        _check_inputs(model, images, labels)
        with evaluation_mode(model), torch.inference_mode(False), torch.enable_grad():
            # Clones: a tensor that was made under inference_mode cannot take part in a backward pass.
            images, labels = images.detach().clone(), labels.clone()
            adversarial = attack(_CheckedModel(model, labels), images, labels, **settings).detach()
        check_finite(adversarial)
        return adversarial

    return cast("AttackFunction", run)


def image_gradient(
    value: Tensor, images: Tensor, weights: Tensor | None = None, *, retain_graph: bool = False
) -> Tensor:
    """The gradient of a value in the images alone: no parameter's `.grad` is computed or changed.

    Args:
        value: a scalar, or with `weights` a tensor of any shape.
        images: what to differentiate in, of any shape.
        weights: of the value's shape; then the gradient is that of the weighted sum.
        retain_graph: whether to keep the graph for another gradient of the same value.

    Returns:
        The gradient, of the images' shape.

    Raises:
        ValueError: if the value does not depend on the images, as far as autograd can see, or the backward pass of
            the model fails.
    """
    gradient = None
    if value.requires_grad:
        try:
            (gradient,) = torch.autograd.grad(value, images, weights, retain_graph=retain_graph, allow_unused=True)
        except (ValueError, torch.OutOfMemoryError):
            raise
        except (Exception, SystemExit) as error:
            reason = (str(error).strip() or "no message").splitlines()[0]
            raise ValueError(f"the model's backward pass failed: {type(error).__name__}: {reason}") from error
    if gradient is None:
        raise ValueError("the model's logits have no gradient in the images: it detaches them, or ignores the images")
    return gradient


def signs(gradient: Tensor) -> Tensor:
    """The sign of each entry, and NaN where the entry is not finite, so that the guard meets it in the result.

    torch.sign makes 0 of a NaN: a model with broken gradients would seem robust. Nothing here waits for an accelerator.
    """
    return gradient.sign() + 0 * gradient


def check_finite(result: Tensor) -> None:
    """Refuse what gradients led to if it holds anything but finite numbers."""
    if not bool(result.isfinite().all()):
        raise NotFiniteError("the gradient of the model's loss in the images is not finite")


def check_distance(name: str, value: float) -> None:
    """Refuse a distance that is negative or not finite."""
    if not 0 <= value < math.inf:
        raise ValueError(f"{name}: expected a finite distance >= 0, got {value}")


def check_at_least(name: str, value: float, least: float) -> None:
    """Refuse a number below the least allowed one, or not finite."""
    if not least <= value < math.inf:
        raise ValueError(f"{name}: expected a finite number >= {least}, got {value}")


def check_images(images: Tensor) -> None:
    """Refuse what is no batch of images in [0, 1]: floating point, (N, C, H, W), at least one."""
    if images.dim() != 4 or not images.is_floating_point():
        raise ValueError(f"expected floating-point images (N, C, H, W), got {images.dtype} {tuple(images.shape)}")
    if images.numel() == 0:
        raise ValueError(f"expected at least one image, got shape {tuple(images.shape)}")
    lowest, highest = torch.stack(images.detach().aminmax()).tolist()
    # Written so that a NaN, which aminmax passes on, fails as well.
    if not (lowest >= -TOLERANCE and highest <= 1 + TOLERANCE):
        raise ValueError(f"expected finite images in [0, 1], got values from {lowest:.6g} to {highest:.6g}")


class _CheckedModel:
    """A model that gets copies of the images, for it may change them in place, and whose logits are checked.

    Values are checked in the first pass only, for that waits for the accelerator.
    """

    def __init__(self, model: Model, labels: Tensor) -> None:
        self.model = model
        self.labels = labels
        self.checked = False

    def __call__(self, images: Tensor) -> Tensor:
        logits = self.model(images.clone())
        _check_shape(logits, len(images))
        if not self.checked:
            _check_values(logits, self.labels)
            self.checked = True
        return logits


def _check_inputs(model: Model, images: Tensor, labels: Tensor) -> None:
    if not callable(model):
        raise ValueError(f"expected a model that can be called, got {type(model).__name__}")
    check_images(images)
    if labels.shape != images.shape[:1] or labels.dtype != torch.int64:
        raise ValueError(
            f"expected int64 labels of shape ({len(images)},), got {labels.dtype} of shape {tuple(labels.shape)}"
        )
    tensor = next(model.parameters(), None) if isinstance(model, nn.Module) else None
    if tensor is not None and tensor.device != images.device:
        raise ValueError(f"the model is on {tensor.device}, the images are on {images.device}: move one of them")
    if labels.device != images.device:
        raise ValueError(f"the labels are on {labels.device}, the images are on {images.device}: move one of them")


def _check_shape(logits: object, count: int) -> None:
    if not isinstance(logits, Tensor) or logits.dim() != 2 or len(logits) != count:
        shape = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
        raise ValueError(f"expected logits of shape ({count}, classes) from the model, got {shape}")
    if not logits.is_floating_point():
        raise ValueError(f"expected logits that are real floating-point numbers, got {logits.dtype}")


def _check_values(logits: Tensor, labels: Tensor) -> None:
    if not bool(logits.isfinite().all()):
        raise NotFiniteError("the model's logits are not finite")
    lowest, highest = torch.stack(labels.aminmax()).tolist()
    if lowest < 0 or highest >= logits.shape[1]:
        raise ValueError(f"expected labels from 0 to {logits.shape[1] - 1}, got labels from {lowest} to {highest}")
