"""AutoAttack: APGD on the cross-entropy, targeted APGD, targeted FAB and Square, each on what the ones before left.

Croce and Hein, "Reliable Evaluation of Adversarial Robustness with an Ensemble of Diverse Parameter-free Attacks", ICML
2020. APGD (Algorithm 1) is PGD with momentum and a step size that halves whenever progress stalls,

    z_{t+1} = P_B(x_t + a_t * sign(grad L(x_t)))
    x_{t+1} = P_B(x_t + 0.75 * (z_{t+1} - x_t) + 0.25 * (x_t - x_{t-1}))

on L = cross-entropy and, for each of the 9 likeliest wrong classes t, on the targeted difference of logits ratio
-(z_y - z_t) / (z_(1) - (z_(3) + z_(4)) / 2), z_(i) being the i-th largest logit.

The attacks are the authors' own code, the package `pyautoattack`.
"""

from __future__ import annotations

import sys

import torch
from pyautoattack import AutoAttack, checks
from torch import Tensor

from rnas.attacks.authors_code import ImageModel, Remarks, check_norm, check_tiles, own_generators, successes
from rnas.attacks.guards import Model, check_distance, guarded
from rnas.attacks.square import Square

__all__ = ["auto_attack"]

# The difference of logits ratio divides by the distance to the third logit; the targeted one uses the fourth too.
LEAST_CLASSES = {"standard": 4, "plus": 4, "rand": 3}


@guarded
def auto_attack(
    model: Model,
    images: Tensor,
    labels: Tensor,
    *,
    eps: float,
    norm: str = "Linf",
    version: str = "standard",
    query_dtype: torch.dtype | None = None,
    seed: int = 0,
) -> Tensor:
    """Attack by the ensemble of Croce and Hein; the standard one makes about 8,000 forward passes.

    Source: Croce and Hein 2020, by the authors' code. Deviations: with fewer than 10 classes, targeted APGD and FAB aim
    at each wrong class once, where the code asks for 9 and fails. Its remarks on the model (random outputs,
    probabilities in place of logits, gradients that vanish, Square winning) come as a `RuntimeWarning`, each once.

    Args:
        model: images to logits (N, classes), at least 4 classes (3 for "rand"); unchanged afterwards.
        images: (N, C, H, W), floating point in [0, 1].
        labels: (N,), int64.
        eps: radius of the ball, in units of the images, >= 0.
        norm: "Linf" or "L2".
        version: "standard"; "plus" (more attacks and restarts); "rand", for models whose outputs are random.
        query_dtype: of what autocast can do in Square's queries, as in `rnas.attacks.square`; None for the model as it
            is.
        seed: of all the attack's randomness, in [0, 2^63); the global generators are left as they were.

    Returns:
        Adversarial images of the same shape, in [0, 1], at most eps away; the image itself where no attack succeeded.

    Raises:
        ValueError: if an input is malformed, the classes are too few, or the model's logits are not finite.
    """
    check_distance("eps", eps)
    check_norm(norm)
    if version not in LEAST_CLASSES:
        raise ValueError(f"version: expected one of {', '.join(LEAST_CLASSES)}, got {version!r}")
    with torch.no_grad():
        classes = model(images).shape[1]
    if classes < LEAST_CLASSES[version]:
        raise ValueError(f"AutoAttack {version} needs at least {LEAST_CLASSES[version]} classes, got {classes}")
    if norm == "L2":
        check_tiles(images)
    if eps == 0:
        return images  # Spares 8,000 passes that could change nothing.
    attack = AutoAttack(
        ImageModel(model, images.dtype), norm=norm, eps=float(eps), version=version, device=images.device, seed=seed
    )
    if query_dtype is not None:
        attack.square = Square(
            model, images.dtype, query_dtype,
            norm=norm, eps=float(eps), n_queries=attack.square.n_queries, seed=seed, device=images.device,
        )  # fmt: skip
    attack.apgd_targeted.n_target_classes = attack.fab.n_target_classes = min(9, classes - 1)
    remarks = Remarks("AutoAttack")
    # A logger of its own: the package's is global, and the caller may have configured it.
    attack.logger = attack.apgd.logger = attack.apgd_targeted.logger = remarks.logger
    # The package's test for models that differentiate in their forward pass counts in a global, and ends all tracing.
    checks.funcs.update(dict.fromkeys(checks.funcs, 0))
    trace = sys.gettrace()
    try:
        with own_generators():
            adversarial, _ = attack.run_standard_evaluation(images.float(), labels, batch_size=len(images))
    finally:
        sys.settrace(trace)
    remarks.warn()
    return successes(images, adversarial)
