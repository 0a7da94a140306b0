"""Attack a batch, hold the attack to its rules, and record how the model classifies its images."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from typing import TypeVar

import torch
from torch import Tensor

from rnas.attacks.guards import TOLERANCE, Model
from rnas.attacks.margins import logit_margin
from rnas.errors import ModelError, RnasError
from rnas.evaluation.card import AttackCard
from rnas.evaluation.config import EvaluationConfig
from rnas.evaluation.prepared import PreparedModel

__all__ = ["attack", "judge", "remarks_of"]

Made = TypeVar("Made")


def attack(
    card: AttackCard, target: PreparedModel, images: Tensor, labels: Tensor, config: EvaluationConfig, seed: int
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Run an attack, and believe nothing that breaks its rules.

    Args:
        card: an attack, no collection.
        target: the model to attack, and what of it the attack sees.
        images: (N, C, H, W), floats in [0, 1], on the model's device.
        labels: (N,), int64, on the same device.
        config: the attack's settings.
        seed: of its randomness.

    Returns:
        Adversarial images; and on the CPU, each of shape (N,): the largest change of a pixel, the Euclidean norm of the
        change, and whether the model denied a success on its view.

    Raises:
        ModelError: if the attack cannot use the model or the images.
        RnasError: if it left its bound or [0, 1].
    """
    run = card.run
    assert run is not None  # Only collections have none.
    try:
        adversarial, denied = target.attack(
            lambda model, rows: run(model, images[rows], labels[rows], config, seed), labels
        )
    except ValueError as error:
        raise ModelError(f"{card.title} cannot attack this model: {error}") from error
    change = (adversarial - images).flatten(1)
    linf, l2 = change.abs().amax(dim=1), change.double().norm(dim=1)
    _verify(card, adversarial, linf, l2, config)
    return adversarial, linf.cpu(), l2.cpu(), denied.cpu()


def remarks_of(action: Callable[[], Made]) -> tuple[Made, list[str]]:
    """Do something, and keep what attacks remark on the model, which they do by a RuntimeWarning; others pass."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", RuntimeWarning)
        made = action()
    remarks = []
    for warning in caught:
        remark = re.match(r"(?:AutoAttack|APGD): (.*)", str(warning.message))
        if warning.category is RuntimeWarning and remark:
            remarks.append(remark[1])
        else:
            warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)
    return made, remarks


def judge(model: Model, images: Tensor, labels: Tensor, *, batch_size: int, what: str) -> tuple[Tensor, Tensor]:
    """Record how a model classifies images.

    Args:
        model: images to logits.
        images: (N, C, H, W), on the model's device.
        labels: (N,), int64, on the CPU.
        batch_size: images for one pass.
        what: the images in words, for errors.

    Returns:
        The predicted classes, and the margins of the labels as float64, (N,), on the CPU.

    Raises:
        ModelError: if a logit is not finite.
    """
    logits = torch.cat([model(batch) for batch in images.split(batch_size)]).cpu()
    if not bool(logits.isfinite().all()):
        raise ModelError(f"the model's logits for {what} are not finite")
    return logits.argmax(dim=1), logit_margin(logits, labels).double()


def _verify(card: AttackCard, adversarial: Tensor, linf: Tensor, l2: Tensor, config: EvaluationConfig) -> None:
    """An attack that cheats would make a model look weak: nothing that breaks the rules is ever counted."""
    values = torch.stack([*adversarial.aminmax(), linf.amax(), l2.amax().to(linf)])
    lowest, highest, largest, longest = values.tolist()
    if not (lowest >= -TOLERANCE and highest <= 1 + TOLERANCE):
        raise RnasError(f"{card.title} left [0, 1]: its images have values from {lowest:.6g} to {highest:.6g}")
    if card.norm == "Linf" and not largest <= config.eps + TOLERANCE:
        raise RnasError(f"{card.title} left its bound: a pixel changed by {largest:.6g}, eps is {config.eps:.6g}")
    # The norm is a sum over all pixels, whose rounding grows with it.
    if card.norm == "L2" and not longest <= config.eps_l2 * (1 + 1e-5) + TOLERANCE:
        raise RnasError(f"{card.title} left its bound: a change of norm {longest:.6g}, eps_l2 is {config.eps_l2:.6g}")
