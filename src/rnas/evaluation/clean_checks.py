"""Check a model before it is attacked, by passes over clean images."""

from __future__ import annotations

from torch import Tensor

from rnas.attacks.guards import Model
from rnas.errors import ModelError
from rnas.evaluation.normalising import normalises
from rnas.evaluation.watched import WatchedModel
from rnas.run.attack_results import Check

__all__ = ["IMAGES", "clean_accuracy", "difference", "normalisation", "raw_logits"]

IMAGES = 32
"""Correctly classified images that `rnas.evaluation.sanity` attacks; of fewer than these one may fall either way."""


def clean_accuracy(logits: Tensor, labels: Tensor) -> Check:
    """A tenth of the way from chance to 1 is what a model should at least reach; of few images one may be missing."""
    correct, chance = int((logits.argmax(dim=1) == labels).sum()), 1 / logits.shape[1]
    passed = correct + (len(labels) < IMAGES) > (chance + 0.1 * (1 - chance)) * len(labels)
    hint = "" if passed else ": other classes, or images that the model expects in another range?"
    finding = f"clean accuracy is {correct / len(labels):.1%} on {len(labels)} images, chance {chance:.1%}{hint}"
    return Check("clean_accuracy", passed, finding)


def normalisation(model: Model, images: Tensor, labels: Tensor, logits: Tensor) -> Check:
    """A model that normalises by itself loses by images that are normalised already; one that does not gains.

    One that has hardly been trained may do either, so it is first asked whether it normalises.
    """
    if normalises(model, images):
        return Check("normalisation", True, "the model itself normalises the images")
    mean = images.mean(dim=(0, 2, 3), keepdim=True)
    deviation = images.std(dim=(0, 2, 3), keepdim=True).clamp_min(1 / 255)
    try:
        normalised = WatchedModel(model)((images - mean) / deviation)
    except ModelError:
        # Whatever a model says to images that it was not promised, it does not expect them.
        return Check("normalisation", True, "the model refuses images outside [0, 1]")
    before, after = logits.argmax(dim=1) == labels, normalised.argmax(dim=1) == labels
    won, lost = int((after & ~before).sum()), int((before & ~after).sum())
    gain = (won - lost) / len(labels)
    # Two standard deviations of what chance alone would make of the images that changed.
    passed = gain <= 0.1 or won - lost < 2 * (won + lost) ** 0.5
    hint = "" if passed else ": it expects normalised images; make the normalisation its first layer"
    finding = f"normalised images change the clean accuracy by {gain:+.1%} on {len(labels)} images{hint}"
    return Check("normalisation", passed, finding)


def raw_logits(logits: Tensor) -> Check:
    """Margins and C&W are made for logits; of probabilities that are nearly 0 or 1 they have no gradient."""
    values = logits.double()
    probable = bool((values >= 0).all()) and bool(((values.sum(dim=1) - 1).abs() <= 1e-2).all())
    if not probable:
        return Check("logits", True, "the model's outputs are no probabilities")
    finding = "the model's outputs are probabilities: attacks need its logits, the outputs before the softmax"
    return Check("logits", False, finding)


def difference(first: Tensor, second: Tensor) -> float:
    """Largest difference of two sets of logits, as a share of the first's largest."""
    return float((first - second).abs().max() / first.abs().max().clamp_min(1e-12))
