"""The evaluation of one model: what is asked for is checked, then `rnas.evaluation.session` does it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from rnas.attacks.guards import Model, evaluation_mode
from rnas.config import Distance, require
from rnas.evaluation.config import EvaluationConfig
from rnas.evaluation.inputs import check_data, check_model, check_second_model
from rnas.evaluation.session import Session
from rnas.evaluation.summary import CLEAN, Evaluation

__all__ = ["evaluate"]


def evaluate(
    model: Model,
    images: Tensor,
    labels: Tensor,
    attacks: Sequence[str] = ("fgsm", "pgd20", "cw", "autoattack"),
    *,
    eps: float = 8 / 255,
    eps_l2: float = 0.5,
    step_size: float = 2 / 255,
    cw_c: float = 0.5,
    cw_steps: int = 100,
    cw_search_steps: int = 300,
    cw_learning_rate: float = 0.01,
    square_queries: int = 5000,
    query_precision: str = "float32",
    apgd_steps: int = 100,
    second_model: tuple[str, nn.Module] | None = None,
    subset: int | None = None,
    autoattack_images: int | None = None,
    batch_size: int = 128,
    seed: int = 0,
    classes: int | None = None,
    folder: Path | None = None,
    save_images: int = 0,
    progress: Callable[..., None] | None = None,
) -> Evaluation:
    """Attack a model and count what withstands.

    The model is evaluated in evaluation mode, on the device of its parameters, and left as it was. Images that it
    misclassifies count as broken by every attack and are not attacked; corruptions are applied to all images. Attacks
    see a prepared view of the model where there is one (`rnas.evaluation.prepared`); whether an image is broken only
    the model itself says.

    Args:
        model: images (N, C, H, W) in [0, 1] to logits (N, classes).
        images: (N, C, H, W), uint8, or floating point in [0, 1]; at least one.
        labels: (N,), integers in [0, classes).
        attacks: names from `rnas.evaluation.ATTACKS`, or PGD of another strength such as "pgd100x10_margin", in the
            order in which they run; none gives the clean accuracy.
        eps: radius of the L-infinity ball, in units of images in [0, 1], >= 0.
        eps_l2: radius of the L2 ball of the attacks that end in _l2, in the same units, >= 0.
        step_size: of PGD, in the same units, > 0.
        cw_c: weight of the margin against the squared distance in C&W with a fixed c, >= 0.
        cw_steps: its steps, >= 1.
        cw_search_steps: steps of C&W for each c of its binary search, >= 1.
        cw_learning_rate: of both, > 0.
        square_queries: queries that Square spends on an image that withstands, >= 1.
        query_precision: "float32", or "bfloat16" for Square's queries, also those in AutoAttack.
        apgd_steps: steps of each run of APGD, >= 1.
        second_model: the one that "transfer" attacks, on the first one's device, after the name that results print.
        subset: how many of the images to attack, stratified, >= 1; None for all. A smaller subset is part of a larger.
        autoattack_images: how many of those AutoAttack gets, likewise.
        batch_size: images attacked at once, >= 1.
        seed: of all randomness.
        classes: of the data; a model that tells another number apart is refused. None takes any that covers the labels.
        folder: where `outcomes.parquet` is kept, saved after every batch. What it holds of the same model and images is
            not repeated, so that an interrupted evaluation continues, and further attacks or a larger subset extend a
            finished one. None keeps the outcomes in memory.
        save_images: adversarial images of each attack to keep in the folder, as `rnas.evaluation.examples` says, >= 0.
        progress: called after every batch as ``progress(attack=title, done=images, total=images,
            robust_accuracy=fraction so far)``, and once for what a folder holds already.

    Returns:
        Robust accuracies, the outcomes they come from, and where something was attacked, the verdicts of
        `rnas.evaluation.sanity`.

    Raises:
        ConfigError: if a setting is out of range, no attack has that name, or images are to be saved without a folder.
        DataError: if there are no images, they lie outside [0, 1], or the labels do not fit them.
        ModelError: if the model cannot take the images, its logits are not finite, or do not fit the labels.
        RunError: if the folder holds outcomes of something else, a damaged file, or cannot be written.
        RnasError: if an attack leaves its bound or [0, 1].
    """
    config = EvaluationConfig(
        attacks=list(attacks),
        eps=Distance(eps),
        eps_l2=Distance(eps_l2),
        step_size=Distance(step_size),
        cw_c=cw_c,
        cw_steps=cw_steps,
        cw_search_steps=cw_search_steps,
        cw_learning_rate=cw_learning_rate,
        square_queries=square_queries,
        query_precision=query_precision,
        apgd_steps=apgd_steps,
        transfer_from=None if second_model is None else second_model[0],
        images=subset,
        autoattack_images=autoattack_images,
        batch_size=batch_size,
    )
    kept = "0 without a folder, or at least 0 in one"
    require(save_images == 0 or (save_images > 0 and folder is not None), "save_images", kept, save_images)
    check_data(images, labels)
    if second_model is not None:
        check_second_model(second_model, images, labels, attacks, classes)
    with evaluation_mode(model), torch.no_grad():
        check_model(model, images, labels, attacks, classes)
        session = Session(model, images, labels.long().cpu(), config, seed, folder, save_images, progress, second_model)
        session.run(CLEAN)
        for name in attacks:
            session.refuse_others(name)
        if attacks:
            session.examine()
        for name in attacks:
            session.run(name)
    return session.result()
