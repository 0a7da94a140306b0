"""The evaluation of one model: what is asked for is checked, then `rnas.evaluation.session` does it."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import torch
from numpy.typing import ArrayLike
from torch import Tensor, nn

from rnas.attacks.guards import Model, evaluation_mode
from rnas.config import Distance, require
from rnas.errors import ModelError
from rnas.evaluation.card import CLEAN
from rnas.evaluation.config import PAPER_EPS, EvaluationConfig, EvaluationSettings
from rnas.evaluation.inputs import as_tensor, check_data, check_model
from rnas.evaluation.session import Session
from rnas.evaluation.suite import ATTACKS
from rnas.evaluation.summary import Evaluation

__all__ = ["evaluate"]

AnyModel = TypeVar("AnyModel", bound=Model)


def evaluate(
    model: Model,
    images: Tensor | ArrayLike,
    labels: Tensor | ArrayLike,
    attacks: Sequence[str] | None = None,
    *,
    eps: float | str | None = None,
    settings: EvaluationSettings | None = None,
    seed: int = 0,
    folder: Path | str | None = None,
    second_model: tuple[str, nn.Module] | None = None,
    progress: Callable[..., None] | None = None,
) -> Evaluation:
    """Attack a model and count what withstands.

    The model is evaluated in evaluation mode, on the device of its parameters, and left as it was, and so are the
    images: a model gets copies. Images that it misclassifies count as broken by every attack and are not attacked;
    corruptions are applied to all images. Attacks see a prepared view of the model where there is one
    (`rnas.evaluation.prepared`); whether an image is broken only the model itself says.

    Args:
        model: images (N, C, H, W) in [0, 1] to logits (N, classes), not to probabilities.
        images: (N, C, H, W), uint8, or floating point in [0, 1]; at least one.
        labels: (N,), integers in [0, classes).
        attacks: names from `rnas.evaluation.ATTACKS`, or PGD of another strength such as "pgd100x10_margin", in the
            order in which they run; none gives the clean accuracy. None takes those of the settings.
        eps: radius of the L-infinity ball, in units of images in [0, 1], as a number or as "8/255". None takes that of
            the settings, 8/255 where they have none.
        settings: all else that attacks depend on, as `rnas evaluate` takes it; an `EvaluationConfig` can also ask for
            images to be kept. By default the defaults of `EvaluationSettings`.
        seed: of all randomness.
        folder: where `outcomes.parquet` is kept, saved after every batch. What it holds of the same model and images is
            not repeated, so that an interrupted evaluation continues, and further attacks or a larger subset extend a
            finished one. None keeps the outcomes in memory.
        second_model: the one that "transfer" attacks, on the first one's device, after the name that results print.
        progress: called after every batch as ``progress(attack=title, done=images, total=images,
            robust_accuracy=fraction so far)``, and once for what a folder holds already.

    Returns:
        Robust accuracies, the outcomes they come from, and where something was attacked, the verdicts of
        `rnas.evaluation.sanity`.

    Raises:
        ConfigError: if a setting is out of range, no attack has that name, or images are to be saved without a folder.
        DataError: if there are no images, they lie outside [0, 1], or the labels do not fit them.
        ModelError: if the model cannot take the images, fails at any time, or its logits are not finite or do not fit
            the labels.
        RunError: if the folder holds outcomes of something else, a damaged file, or cannot be written.
        RnasError: if an attack leaves its bound or [0, 1].
    """
    config = _configured(attacks, eps, settings or EvaluationSettings(), second_model)
    kept = "0 without a folder, or at least 0 in one"
    require(config.save_images == 0 or folder is not None, "save_images", kept, config.save_images)
    folder = None if folder is None else Path(folder)
    # Outside the caller's inference mode, in which no gradient can be taken.
    with torch.inference_mode(False), torch.no_grad(), ExitStack() as modes:
        images, labels = as_tensor(images, "images (N, C, H, W)"), as_tensor(labels, "labels (N,)")
        check_data(images, labels)
        if second_model is not None:
            second_model = second_model[0], _differentiable(second_model[1])
            transfers = [name for name in config.attacks if ATTACKS[name].transfers]
            try:
                check_model(second_model[1], images, labels, attacks=transfers)
            except ModelError as error:
                raise ModelError(f"second model {second_model[0]}: {error}") from error
            modes.enter_context(evaluation_mode(second_model[1]))
        model = _differentiable(model)
        check_model(model, images, labels, attacks=config.attacks)
        modes.enter_context(evaluation_mode(model))
        session = Session(model, images, labels.long().cpu(), config, seed, folder, progress, second_model)
        session.run(CLEAN)
        for name in config.attacks:
            session.refuse_others(name)
        if config.attacks:
            session.examine()
        for name in config.attacks:
            session.run(name)
        return session.result()


def _configured(
    attacks: Sequence[str] | None,
    eps: float | str | None,
    settings: EvaluationSettings,
    second_model: tuple[str, nn.Module] | None,
) -> EvaluationConfig:
    """The settings, with what was given beside them in their place."""
    require(not isinstance(attacks, str), "attacks", 'a list of names, such as ["fgsm", "pgd20"]', attacks)
    given: dict[str, Any] = {}
    if attacks is not None:
        given["attacks"] = list(attacks)
    if eps is not None:
        given["eps"] = Distance(eps)
    if second_model is not None:
        given["transfer_from"] = second_model[0]
    config = replace(settings, **given).at(PAPER_EPS)
    transfers = [name for name in config.attacks if ATTACKS[name].transfers]
    require(not transfers or second_model is not None, "second_model", "(name, model), which transfer attacks", None)
    return config


def _differentiable(model: AnyModel) -> AnyModel:
    """The model, or a copy of one whose weights were made in inference mode: such tensors take part in no gradient."""
    tensors = itertools.chain(model.parameters(), model.buffers()) if isinstance(model, nn.Module) else ()
    return copy.deepcopy(model) if any(tensor.is_inference() for tensor in tensors) else model
