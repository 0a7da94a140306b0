"""APGD on the cross-entropy, then targeted APGD: the first two attacks of AutoAttack, at a fraction of its time.

Croce and Hein 2020 (see `rnas.attacks.autoattack`). On networks whose gradients can be trusted these two nearly always
give AutoAttack's verdict; what they leave out, FAB and Square, is what unmasks the others. This is therefore a tier for
ranking in searches and during training, not a replacement of AutoAttack in a table.

An image leaves its batch at the first step that breaks it, and before each target the images that are left are put
together into full batches again. Neither changes a verdict: an image's iterates depend on no other image.

The steps are those of the authors' own code, the package `pyautoattack`.
"""

from __future__ import annotations

from contextlib import suppress

import torch
from pyautoattack.autopgd_base import APGDAttack, APGDAttack_targeted
from torch import Tensor

from rnas.attacks.authors_code import ImageModel, Remarks, check_norm, own_generators
from rnas.attacks.guards import Model, check_at_least, check_distance, guarded

__all__ = ["apgd"]

TARGETS = 9
"""Wrong classes that targeted APGD aims at, the likeliest first, as in AutoAttack."""


@guarded
def apgd(
    model: Model,
    images: Tensor,
    labels: Tensor,
    *,
    eps: float,
    norm: str = "Linf",
    steps: int = 100,
    batch_size: int | None = None,
    seed: int = 0,
) -> Tensor:
    """Attack by APGD on the cross-entropy and, what withstands, by APGD towards each of the 9 likeliest wrong classes.

    Source: Croce and Hein 2020, Algorithm 1 and section 5, by the authors' code. Deviations: none in the verdicts; with
    100 steps and all images in one batch they are those of the first two attacks of AutoAttack's standard version. The
    adversarial image is the first that breaks, not the last.

    Args:
        model: images to logits (N, classes), at least 4 classes; unchanged afterwards.
        images: (N, C, H, W), floating point in [0, 1].
        labels: (N,), int64.
        eps: radius of the ball, in units of the images, >= 0.
        norm: "Linf" or "L2".
        steps: gradient steps of each of the up to 10 runs, >= 1.
        batch_size: most images in one pass, >= 1; None for all.
        seed: of the random starts, in [0, 2^63); the global generators are left as they were.

    Returns:
        Adversarial images of the same shape, in [0, 1], at most eps away; the image itself where no run succeeded, and
        where it was misclassified from the start.

    Raises:
        ValueError: if an input is malformed, the classes are too few, or the model's logits or gradients are not
            finite.
    """
    check_distance("eps", eps)
    check_norm(norm)
    check_at_least("steps", steps, 1)
    size = len(images) if batch_size is None else batch_size
    check_at_least("batch_size", size, 1)
    if eps == 0:
        return images
    shielded = ImageModel(model, images.dtype)
    single, result = images.float(), images.clone()
    logits = torch.cat([shielded(batch) for batch in single.split(size)])
    classes = logits.shape[1]
    if classes < 4:
        raise ValueError(f"targeted APGD needs at least 4 classes, got {classes}")
    ascending = logits.sort(dim=1).indices
    left = (logits.argmax(dim=1) == labels).nonzero().squeeze(1)
    remarks = Remarks("APGD")
    settings = {"n_iter": int(steps), "norm": norm, "eps": float(eps), "device": images.device}
    untargeted = APGDAttack(shielded, loss="ce", logger=remarks.logger, **settings)
    targeted = APGDAttack_targeted(shielded, logger=remarks.logger, **settings)
    with own_generators(), torch.no_grad():
        # The likeliest class is the label; then the wrong classes follow as targets.
        for rank in range(1, min(TARGETS + 1, classes) + 1):
            if rank <= 2:
                torch.manual_seed(seed)  # AutoAttack does it at the start of each attack.
            withstood = []
            for batch in left.split(size):
                if not len(batch):
                    continue
                run = untargeted if rank == 1 else targeted
                targeted.y_target = ascending[batch, -rank]
                alive, found = _broken_by(run, shielded, single[batch], labels[batch])
                result[batch[~alive]] = found[~alive].to(images.dtype)
                withstood.append(batch[alive])
            left = torch.cat(withstood) if withstood else left
    remarks.warn()
    return result


def _broken_by(run: APGDAttack, model: ImageModel, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """One run of the authors' code: which images withstand it, (N,), and the adversarial images of the others."""
    leaving = _Leaving(model, images, labels)
    run.model = leaving
    run.init_hyperparam(images)
    with suppress(_NoneLeftError):
        run.attack_single_run(images, labels)
    alive = torch.zeros_like(labels, dtype=torch.bool)
    alive[leaving.left] = True
    return alive, leaving.found


class _NoneLeftError(Exception):
    """Ends a run that has broken all its images."""


class _Leaving:
    """A model that passes only those images on which no call before has broken.

    The others keep the logits that they were broken with: constants, from which no gradient comes. The authors' code
    sees a batch of constant size.
    """

    def __init__(self, model: ImageModel, images: Tensor, labels: Tensor) -> None:
        self.model, self.labels = model, labels
        self.left = torch.arange(len(labels), device=labels.device)
        self.found = images.clone()
        self.logits: Tensor | None = None

    def __call__(self, images: Tensor) -> Tensor:
        if not len(self.left):
            raise _NoneLeftError
        logits = self.model(images[self.left])
        broken = logits.argmax(dim=1) != self.labels[self.left]
        leaving = self.left[broken]
        self.found[leaving] = images.detach()[leaving]
        whole = logits if self.logits is None else self.logits.index_copy(0, self.left, logits)
        self.logits, self.left = whole.detach(), self.left[~broken]
        return whole
