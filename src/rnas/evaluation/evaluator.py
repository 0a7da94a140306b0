"""The evaluation of one model: every attack, batch by batch, verified, recorded, and resumed where it stopped.

A batch's outcome depends on the model, the images, the attack's settings and a seed derived for that batch, on nothing
that ran before; a resumed evaluation therefore ends with the outcomes of an uninterrupted one.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from rnas.attacks.guards import TOLERANCE, Model, evaluation_mode
from rnas.attacks.margins import logit_margin
from rnas.config import Distance
from rnas.data.splits import stratified_subset
from rnas.errors import ModelError, RnasError
from rnas.evaluation.config import EvaluationConfig
from rnas.evaluation.fingerprints import as_floats, images_fingerprint, model_fingerprint
from rnas.evaluation.inputs import check_data, check_model, check_second_model, device_of
from rnas.evaluation.outcomes import Outcomes, Record
from rnas.evaluation.suite import ATTACKS, AttackCard, Settings
from rnas.evaluation.summary import CLEAN, Evaluation
from rnas.seeding import derive

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
    cw_steps: int = 300,
    square_queries: int = 5000,
    apgd_steps: int = 100,
    second_model: tuple[str, nn.Module] | None = None,
    autoattack_images: int | None = None,
    batch_size: int = 128,
    seed: int = 0,
    folder: Path | None = None,
    progress: Callable[..., None] | None = None,
) -> Evaluation:
    """Attack a model and count what withstands.

    The model is evaluated in evaluation mode, on the device of its parameters, and left as it was. Images that it
    misclassifies count as broken by every attack and are not attacked; corruptions are applied to all images.

    Args:
        model: images (N, C, H, W) in [0, 1] to logits (N, classes).
        images: (N, C, H, W), uint8, or floating point in [0, 1]; at least one.
        labels: (N,), integers in [0, classes).
        attacks: names from `rnas.evaluation.ATTACKS`, in the order in which they run; none gives the clean accuracy.
        eps: radius of the L-infinity ball, in units of images in [0, 1], >= 0.
        eps_l2: radius of the L2 ball of the attacks that end in _l2, in the same units, >= 0.
        step_size: of PGD, in the same units, > 0.
        cw_steps: steps of C&W for each c of its binary search, >= 1.
        square_queries: queries that Square spends on an image that withstands, >= 1.
        apgd_steps: steps of each run of APGD, >= 1.
        second_model: the one that "transfer" attacks, on the first one's device, after the name that results print.
        autoattack_images: size of the stratified subset that AutoAttack gets, >= 1; None for all images.
        batch_size: images attacked at once, >= 1.
        seed: of all randomness.
        folder: where `outcomes.parquet` is kept, saved after every batch. What it holds of the same model and images is
            not repeated, so that an interrupted evaluation continues and further attacks extend a finished one. None
            keeps the outcomes in memory.
        progress: called after every batch as ``progress(attack=title, done=images, total=images,
            robust_accuracy=fraction so far)``, and once for what a folder holds already.

    Returns:
        Robust accuracies, and the outcomes they come from.

    Raises:
        ConfigError: if a setting is out of range, or no attack has that name.
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
        cw_steps=cw_steps,
        square_queries=square_queries,
        apgd_steps=apgd_steps,
        transfer_from=None if second_model is None else second_model[0],
        autoattack_images=autoattack_images,
        batch_size=batch_size,
    )
    check_data(images, labels)
    if second_model is not None:
        check_second_model(second_model, images, labels, config)
    with evaluation_mode(model), torch.no_grad():
        check_model(model, images, labels, config)
        evaluator = _Evaluator(model, images, labels.long().cpu(), config, seed, folder, progress, second_model)
        for name in (CLEAN, *attacks):
            evaluator.run(name)
    return evaluator.result()


class _Evaluator:
    """One evaluation under way; the arguments are those of `evaluate`, checked, the labels on the CPU."""

    def __init__(
        self,
        model: Model,
        images: Tensor,
        labels: Tensor,
        config: EvaluationConfig,
        seed: int,
        folder: Path | None,
        progress: Callable[..., None] | None,
        second_model: tuple[str, nn.Module] | None,
    ) -> None:
        self.model, self.images, self.labels = model, images, labels
        self.config, self.seed, self.progress, self.second_model = config, seed, progress, second_model
        self.device = device_of(model, images)
        identity: dict[str, str | int] = {}
        if folder is not None:
            if not isinstance(model, nn.Module):
                raise ModelError(
                    f"to keep outcomes in a folder the model must be a torch.nn.Module, got {type(model).__name__}"
                )
            identity = {
                "model": model_fingerprint(model),
                "images": images_fingerprint(images, labels),
                "seed": seed,
                "batch_size": config.batch_size,
            }
        self.record = Record(folder, identity)
        self.settings: dict[str, Settings] = {}

    def run(self, name: str) -> None:
        """Run an attack, or no attack ("clean"), on the batches that are not recorded yet."""
        card = None if name == CLEAN else ATTACKS[name]
        chosen = self._images_of(name)
        parts: dict[str, AttackCard | None] = {name: card}
        if card is not None and card.parts is not None:
            parts = {f"{name}/{part}": member for part, member in card.parts().items()}
        for index, (part, member) in enumerate(parts.items()):
            self._run_part(part, member, chosen, index * len(chosen), len(parts) * len(chosen))
        self.settings[name] = self._settings(card, chosen)

    def _run_part(self, name: str, card: AttackCard | None, chosen: Tensor, before: int, total: int) -> None:
        done = self.record.begin(name, self._settings(card, chosen), chosen.numpy())
        if done:
            self._report(name, before + done, total)
        size = self.config.batch_size * (1 if card is None else card.batches)
        while done < len(chosen):
            begun = time.perf_counter()
            batch = chosen[done : done + size]
            seed = derive(self.seed, name, done // size)
            outcomes = self._clean(batch) if card is None else self._attack(name, card, batch, seed)
            self.record.append(name, outcomes, time.perf_counter() - begun)
            done += len(batch)
            self._report(name, before + done, total)

    def result(self) -> Evaluation:
        """What was asked for, of all that the record holds."""
        seconds = dict.fromkeys(self.settings, 0.0)
        for name, spent in self.record.seconds.items():
            if name.partition("/")[0] in seconds:
                seconds[name.partition("/")[0]] += spent
        return Evaluation(self.record.outcomes.of(*self.settings), self.settings, seconds)

    def _settings(self, card: AttackCard | None, chosen: Tensor) -> Settings:
        if card is None:
            return {}
        second: Settings = {}
        if card.transfers and self.second_model is not None:
            name, model = self.second_model
            second = {"from": name, "weights": model_fingerprint(model)[:12]}
        return {**card.settings(self.config), **second, "images": len(chosen)}

    def _images_of(self, name: str) -> Tensor:
        count = self.config.autoattack_images
        if name.startswith("autoattack") and count is not None:
            return stratified_subset(self.labels, count, self.seed)
        return torch.arange(len(self.labels))

    def _clean(self, batch: Tensor) -> Outcomes:
        predictions, margins = self._judge(self._select(batch), self.labels[batch], "the clean images")
        distance = torch.zeros(len(batch))
        return self._outcomes(CLEAN, batch, predictions, predictions, margins, distance, distance)

    def _attack(self, name: str, card: AttackCard, batch: Tensor, seed: int) -> Outcomes:
        labels, before = self.labels[batch], self.record.outcomes.of(CLEAN)
        clean_predictions = torch.from_numpy(before.prediction)[batch]
        predictions, margins = clean_predictions.clone(), torch.from_numpy(before.margin)[batch]
        linf, l2 = torch.zeros(len(batch)), torch.zeros(len(batch))
        chosen = (clean_predictions == labels) | card.every_image
        if chosen.any():
            clean, targets = self._select(batch[chosen]), labels[chosen]
            model = self.second_model[1] if card.transfers and self.second_model is not None else self.model
            assert card.run is not None  # Only collections have none.
            try:
                adversarial = card.run(model, clean, targets.to(self.device), self.config, seed)
            except ValueError as error:
                raise ModelError(f"{card.title} cannot attack this model: {error}") from error
            change = (adversarial - clean).flatten(1)
            _verify(card, adversarial, change, self.config)
            what = f"the adversarial images of {card.title}"
            predictions[chosen], margins[chosen] = self._judge(adversarial, targets, what)
            linf[chosen], l2[chosen] = change.abs().amax(dim=1).cpu(), change.norm(dim=1).cpu()
        return self._outcomes(name, batch, clean_predictions, predictions, margins, linf, l2)

    def _select(self, batch: Tensor) -> Tensor:
        return as_floats(self.images[batch.to(self.images.device)].to(self.device))

    def _judge(self, images: Tensor, labels: Tensor, what: str) -> tuple[Tensor, Tensor]:
        """The classes that the model predicts, and the margins of the labels, on the CPU."""
        logits = torch.cat([self.model(batch) for batch in images.split(self.config.batch_size)]).cpu()
        if not bool(logits.isfinite().all()):
            raise ModelError(f"the model's logits for {what} are not finite")
        return logits.argmax(dim=1), logit_margin(logits, labels).double()

    def _outcomes(
        self,
        name: str,
        batch: Tensor,
        clean_predictions: Tensor,
        predictions: Tensor,
        margins: Tensor,
        linf: Tensor,
        l2: Tensor,
    ) -> Outcomes:
        labels = self.labels[batch]
        return Outcomes(
            image=batch.numpy(),
            label=labels.numpy(),
            clean_prediction=clean_predictions.numpy(),
            attack=np.full(len(batch), name),
            prediction=predictions.numpy(),
            broken=(predictions != labels).numpy(),
            margin=margins.numpy(),
            linf=linf.double().numpy(),
            l2=l2.double().numpy(),
        )

    def _report(self, name: str, done: int, total: int) -> None:
        if self.progress is not None:
            name = name.partition("/")[0]
            title = "Clean" if name == CLEAN else ATTACKS[name].title
            robust = 1 - float(self.record.outcomes.of(name).broken.mean())
            self.progress(attack=title, done=done, total=total, robust_accuracy=robust)


def _verify(card: AttackCard, adversarial: Tensor, change: Tensor, config: EvaluationConfig) -> None:
    """An attack that cheats would make a model look weak: nothing that breaks the rules is ever counted."""
    longest = change.double().norm(dim=1).amax().to(change)
    lowest, highest, largest, length = torch.stack([*adversarial.aminmax(), change.abs().amax(), longest]).tolist()
    if not (lowest >= -TOLERANCE and highest <= 1 + TOLERANCE):
        raise RnasError(f"{card.title} left [0, 1]: its images have values from {lowest:.6g} to {highest:.6g}")
    if card.norm == "Linf" and not largest <= config.eps + TOLERANCE:
        raise RnasError(f"{card.title} left its bound: a pixel changed by {largest:.6g}, eps is {config.eps:.6g}")
    # The norm is a sum over all pixels, whose rounding grows with it.
    if card.norm == "L2" and not length <= config.eps_l2 * (1 + 1e-5) + TOLERANCE:
        raise RnasError(f"{card.title} left its bound: a change of norm {length:.6g}, eps_l2 is {config.eps_l2:.6g}")
