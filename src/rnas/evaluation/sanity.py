"""Is the evaluation itself sound? Cheap checks on a few images; where one fails, robust accuracies are too high.

They are the signs of a failed attack, or of gradients that a defence hides, that two papers ask evaluators to look for:

- Athalye, Carlini and Wagner, "Obfuscated Gradients Give a False Sense of Security", ICML 2018, section 3.1: one-step
  attacks beat iterative ones; unbounded attacks do not reach 100% success; random sampling finds adversarial images
  that gradients do not; gradients are shattered (zero, not finite) or stochastic.
- Carlini, Athalye, Papernot, Brendel, Rauber, Tsipras, Goodfellow, Madry and Kurakin, "On Evaluating Adversarial
  Robustness", 2019, sections 3 and 5: more iterations must not weaken an attack; the stronger attack must win; the
  perturbation must be as small as claimed.

The thresholds are ours: an honest network should pass all of them on `IMAGES` images, a masked one fail at least one.
To pass proves nothing.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor
from torch.nn import functional as F

from rnas.attacks import fgsm, pgd_linf
from rnas.attacks.guards import Model, check_finite, image_gradient
from rnas.attacks.margins import logit_margin
from rnas.data.splits import stratified_subset
from rnas.evaluation.clean_checks import IMAGES, clean_accuracy, difference, normalisation, raw_logits
from rnas.evaluation.watched import WatchedModel
from rnas.run.attack_results import Check
from rnas.seeding import derive

__all__ = ["IMAGES", "examine"]

RANDOM_SAMPLES = 20
"""Random corners of the ball for each image: as many passes as PGD-20 makes."""

STEPS = (1, 5, 20)
"""Steps of PGD whose losses are compared."""

DERIVATIVE_STEPS = (1 / 32, 1 / 8)
"""Lengths, as shares of eps, of the steps along the gradient's signs that the gradient has to predict; the longer one
is for models that compute in low precision."""

SLACK = 0.02
"""Share by which the loss may fall from fewer steps to more: sign steps circle around a maximum."""


def examine(model: Model, images: Tensor, labels: Tensor, *, eps: float, seed: int) -> tuple[Check, ...]:
    """Check a model, before hours are spent on attacking it.

    Args:
        model: images to logits (N, classes), in evaluation mode; left as it was.
        images: (N, C, H, W), floats in [0, 1], on the model's device; `IMAGES` of them are attacked.
        labels: (N,), int64, on the same device.
        eps: radius of the L-infinity ball, in units of images in [0, 1]; where it is 0 nothing is attacked within it.
        seed: of the choice of images and of all randomness.

    Returns:
        The verdicts; without those that need an attack where no image is classified correctly. "constant" is only
        among them where it failed.

    Raises:
        ModelError: if the model fails.
    """
    watched = WatchedModel(model)
    with torch.no_grad():
        logits = watched(images)
        checks = [clean_accuracy(logits, labels), normalisation(model, images, labels, logits), raw_logits(logits)]
        correct = (logits.argmax(dim=1) == labels).nonzero().flatten()
        if len(correct):
            chosen = correct[stratified_subset(labels[correct].cpu(), IMAGES, seed).to(correct.device)]
            trial = _Trial(watched, images[chosen], labels[chosen], eps, derive(seed, "sanity"))
            checks += trial.checks()
            if len(logits.argmax(dim=1).unique()) == 1 and trial.constant():
                said = int(logits.argmax(dim=1)[0])
                finding = (
                    f"the model says class {said} to all {len(images)} images, to noise, and to what PGD makes without "
                    "a bound: nothing changes it, and attacks are cut short"
                )
                checks.append(Check("constant", False, finding))
    return tuple(checks)


class _Trial:
    """Attacks on a few images that the model classifies correctly."""

    def __init__(self, model: Model, images: Tensor, labels: Tensor, eps: float, seed: int) -> None:
        self.model, self.images, self.labels = model, images, labels
        self.eps = eps
        self.withstood_all = True
        self.generator = torch.Generator().manual_seed(seed)

    def checks(self) -> list[Check]:
        found = [self._repeatable()]
        if found[0].passed and len(self.images) > 1:
            found.append(self._batch())
        try:
            found += [self._gradients(), self._derivative()]
            if self.eps > 0:
                found += self._within_the_ball()
            found.append(self._unbounded())
        except ValueError as error:
            # What the attacks themselves say of a model without gradients, or with gradients that are not finite.
            found.append(Check("gradients", False, f"gradients cannot be used: {error}"))
        return found

    def constant(self) -> bool:
        """Whether neither PGD without a bound, after `checks`, nor noise changes a class."""
        for sample in range(RANDOM_SAMPLES if self.withstood_all else 0):
            noise = torch.rand(self.images.shape, generator=self.generator).to(self.images)
            if self._broken(noise.round() if sample % 2 else noise).any():
                return False
        return self.withstood_all

    def _repeatable(self) -> Check:
        share = difference(self.model(self.images), self.model(self.images))
        return Check(
            "repeatable",
            share <= 1e-3,
            f"two passes over the same images give logits that differ by {share:.2g} of their size"
            + (": outputs are random, attacks must average over them (AutoAttack rand)" if share > 1e-3 else ""),
        )

    def _batch(self) -> Check:
        half = len(self.images) // 2
        share = difference(self.model(self.images)[:half], self.model(self.images[:half]))
        return Check(
            "batch",
            share <= 1e-3,
            f"the other images of its batch change an image's logits by {share:.2g} of their size"
            + (": the model was stored in training mode" if share > 1e-3 else ""),
        )

    def _gradients(self) -> Check:
        with torch.enable_grad():
            images = self.images.clone().requires_grad_()
            gradient = image_gradient(F.cross_entropy(self.model(images), self.labels, reduction="sum"), images)
        check_finite(gradient)
        zero = int((gradient == 0).flatten(1).all(dim=1).sum())
        return Check(
            "gradients",
            _few(zero, 0.1, len(images)),
            f"the gradient of the cross-entropy is zero for {zero} of {len(images)} images",
        )

    def _derivative(self) -> Check:
        """The first order must predict what a small step does to the margin, or attacks follow something else."""
        with torch.enable_grad():
            images = self.images.clone().requires_grad_()
            gradient = image_gradient(logit_margin(self.model(images), self.labels).sum(), images)
        found = 0
        for share in DERIVATIVE_STEPS:
            step = share * (self.eps or 8 / 255) * gradient.sign()
            ends = [(self.images + sign * step).clamp(0, 1) for sign in (-1, 1)]
            before, after = (logit_margin(self.model(end), self.labels) for end in ends)
            predicted = (gradient * (ends[1] - ends[0])).flatten(1).sum(dim=1)
            ratio = (after - before) / predicted
            found = max(found, int(((ratio > 0.5) & (ratio < 1.5)).sum()))
        passed = _few(len(self.images) - found, 0.25, len(self.images))
        hint = "" if passed else ": the backward pass is not the forward pass's derivative, which may mask gradients"
        return Check(
            "derivative",
            passed,
            f"for {found} of {len(self.images)} images the gradient predicts within half what a small step does{hint}",
        )

    def _within_the_ball(self) -> list[Check]:
        # From the image itself, so that the loss at 0 steps is the clean one.
        runs = [self._pgd(steps, self.eps, random_start=False) for steps in STEPS]
        losses = [self._loss(images) for images in (self.images, *runs)]
        rising = losses[-1] > losses[0] and all(after >= (1 - SLACK) * before for before, after in pairwise(losses))
        one_step = self._broken(fgsm(self.model, self.images, self.labels, eps=self.eps))
        broken = [self._broken(images) for images in runs]
        iterated, by_gradient = broken[-1], torch.stack([one_step, *broken]).any(dim=0)
        by_chance = torch.zeros_like(iterated)
        for _ in range(RANDOM_SAMPLES):
            corners = 2 * torch.randint(2, self.images.shape, generator=self.generator).to(self.images) - 1
            by_chance |= self._broken((self.images + self.eps * corners).clamp(0, 1))
        if (by_chance & ~by_gradient).any():
            # An image that one run just misses does not count: the margin may find it.
            by_gradient |= self._broken(self._pgd(STEPS[-1], self.eps, loss="margin"))
        total, missed = len(self.labels), int((by_chance & ~by_gradient).sum())
        steps = ", ".join(f"{count}: {loss:.3g}" for count, loss in zip((0, *STEPS), losses, strict=True))
        return [
            Check("steps", rising, f"mean cross-entropy by steps of PGD, {steps}"),
            # One image may fall either way.
            Check(
                "one_step",
                int(one_step.sum()) <= int(iterated.sum()) + 1,
                f"FGSM breaks {int(one_step.sum())} of {total} images, PGD-{STEPS[-1]} {int(iterated.sum())}",
            ),
            Check(
                "random_search",
                missed <= 1,
                f"{RANDOM_SAMPLES} random corners of the ball break {missed} of {total} images that no gradient breaks",
            ),
        ]

    def _unbounded(self) -> Check:
        broken = self._broken(self._pgd(20, 1.0))
        if not broken.all():
            broken |= self._broken(self._pgd(20, 1.0, loss="margin"))
        left = int((~broken).sum())
        self.withstood_all = left == len(broken)
        return Check(
            "unbounded",
            left == 0,
            f"{left} of {len(broken)} images withstand PGD without a bound (eps = 1)",
        )

    def _pgd(self, steps: int, eps: float, *, loss: str = "cross_entropy", random_start: bool = True) -> Tensor:
        return pgd_linf(
            self.model,
            self.images,
            self.labels,
            eps=eps,
            step_size=eps / 4,
            steps=steps,
            loss=loss,
            random_start=random_start,
            generator=self.generator,
        )

    def _broken(self, images: Tensor) -> Tensor:
        return self.model(images).argmax(dim=1) != self.labels

    def _loss(self, images: Tensor) -> float:
        return float(F.cross_entropy(self.model(images).double(), self.labels))


def _few(count: int, share: float, of: int) -> bool:
    """Whether a count is within a share; of four images or more one may always fall either way."""
    return count <= max(share * of, 1 if of >= 4 else 0)
