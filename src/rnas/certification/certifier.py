"""The certification of one model: what is asked for is checked, then proved batch by batch, kept, and resumed."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor, nn

from rnas.attacks.guards import evaluation_mode
from rnas.certification.card import CERTIFIERS
from rnas.certification.certificates import Certificates
from rnas.certification.config import CertificationConfig, CertificationSettings
from rnas.certification.smoothing import SmoothedModel
from rnas.certification.summary import Certification
from rnas.config import Distance, require
from rnas.data.splits import stratified_subset
from rnas.evaluation.config import PAPER_EPS
from rnas.evaluation.fingerprints import as_floats, images_fingerprint, model_fingerprint
from rnas.evaluation.inputs import as_tensor, check_data, check_model, device_of
from rnas.evaluation.records import Record
from rnas.evaluation.watched import telling
from rnas.seeding import derive

__all__ = ["certify", "methods_for"]


def methods_for(model: nn.Module, settings: CertificationSettings) -> list[str]:
    """The names of the methods that were asked for, or where none was, of those that fit the model."""
    if settings.methods:
        return settings.methods
    return ["smoothing"] if isinstance(model, SmoothedModel) else ["interval", "crown_ibp"]


def certify(
    model: nn.Module,
    images: Tensor | ArrayLike,
    labels: Tensor | ArrayLike,
    methods: Sequence[str] | None = None,
    *,
    eps: float | str | None = None,
    settings: CertificationSettings | None = None,
    seed: int = 0,
    folder: Path | str | None = None,
    progress: Callable[..., None] | None = None,
) -> Certification:
    """Prove of as many images as possible that no image within a distance is classified otherwise.

    The model is certified in evaluation mode, on the device of its parameters, and left as it was. Rounding is not
    covered: what is proved is proved of the function that the model would compute in exact arithmetic.

    Args:
        model: images (N, C, H, W) in [0, 1] to logits (N, classes); a `rnas.certification.SmoothedModel` for smoothing.
        images: (N, C, H, W), uint8, or floating point in [0, 1]; at least one.
        labels: (N,), integers in [0, classes).
        methods: names from `rnas.certification.CERTIFIERS`. None takes those of the settings.
        eps: radius of the L-infinity ball at which accuracies are told, in units of images in [0, 1], as a number or as
            "8/255". None takes that of the settings, 8/255 where they have none.
        settings: all else, as `rnas certify` takes it. By default the defaults of `CertificationSettings`.
        seed: of the noise of smoothing, and of the choice of a subset.
        folder: where `certificates.parquet` is kept, saved after every batch. What it holds of the same model and
            images is not repeated: an interrupted certification continues, and other methods or a larger subset extend
            a finished one. None keeps the certificates in memory.
        progress: called after every batch as ``progress(method=title, done=images, total=images,
            certified_accuracy=fraction so far)``, and once for what a folder holds already.

    Returns:
        Certified accuracies, and the certificates they come from.

    Raises:
        ConfigError: if a setting is out of range, or no method has that name.
        DataError: if there are no images, they lie outside [0, 1], or the labels do not fit them.
        ModelError: if the model cannot take the images, a method cannot take the model, or its logits are not finite or
            do not fit the labels.
        RunError: if the folder holds certificates of something else, a damaged file, or cannot be written.
    """
    config = configured(methods, eps, settings or CertificationSettings())
    folder = None if folder is None else Path(folder)
    with torch.inference_mode(False), torch.no_grad(), evaluation_mode(model):
        images, labels = as_tensor(images, "images (N, C, H, W)"), as_tensor(labels, "labels (N,)")
        check_data(images, labels)
        check_model(model, images, labels)
        labels = labels.long().cpu()
        identity: dict[str, str | int] = {}
        if folder is not None:
            prints = model_fingerprint(model), images_fingerprint(images, labels)
            identity = {"model": prints[0], "images": prints[1], "seed": seed}
        record = Record(folder, identity, Certificates)
        cards = {name: CERTIFIERS[name] for name in methods_for(model, config)}
        for name, card in cards.items():
            record.refuse_others(name, card.settings(config))
        total = len(labels) if config.images is None else min(config.images, len(labels))
        chosen = stratified_subset(labels, total, derive(seed, "test images"))
        channels, height, width = images.shape[1:]
        provers = {name: card.prepare(model, (channels, height, width), config) for name, card in cards.items()}
        device = device_of(model, images)
        for name, prove in provers.items():
            recorded = record.begin(name, cards[name].settings(config), total)
            left = chosen[~np.isin(chosen, np.concatenate([np.empty(0, np.int64), *recorded]))]
            report(progress, name, record, total, cards[name].eps(config))
            for number, batch in enumerate(left.split(cards[name].at_once(config)) if len(left) else ()):
                begun = time.perf_counter()
                generator = torch.Generator().manual_seed(derive(seed, name, len(recorded) + number))
                taken, truth = as_floats(images[batch.to(images.device)].to(device)), labels[batch].to(device)
                with telling(f"{cards[name].title} failed on the model"):
                    classes, radii = prove(taken, truth, generator)
                found = Certificates(
                    image=batch.numpy(),
                    label=labels[batch].numpy(),
                    method=np.full(len(batch), name),
                    prediction=classes.cpu().numpy(),
                    radius=radii.double().cpu().numpy(),
                )
                record.append(name, found, time.perf_counter() - begun)
                report(progress, name, record, total, cards[name].eps(config))
    return Certification.of(record, config.eps_l2)


def report(
    progress: Callable[..., None] | None, name: str, record: Record[Certificates], total: int, eps: float
) -> None:
    """Tell how many images of a method are done, and which share of them is certified at eps."""
    certificates = record.outcomes.of(name)
    if progress is not None and len(certificates):
        share = float(certificates.certified(eps).mean())
        done = min(len(certificates), total)
        progress(method=CERTIFIERS[name].title, done=done, total=total, certified_accuracy=share)


def configured(
    methods: Sequence[str] | None, eps: float | str | None, settings: CertificationSettings
) -> CertificationConfig:
    """The settings, with what was given beside them in their place."""
    require(not isinstance(methods, str), "methods", 'a list of names, such as ["interval", "crown_ibp"]', methods)
    given: dict[str, Any] = {} if methods is None else {"methods": list(methods)}
    if eps is not None:
        given["eps"] = Distance(eps)
    return replace(settings, **given).at(PAPER_EPS)
