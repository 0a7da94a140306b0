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

from rnas.attacks.guards import Model, evaluation_mode
from rnas.config import Distance, require
from rnas.data.splits import stratified_subset
from rnas.errors import ModelError
from rnas.evaluation.attacking import attack, judge
from rnas.evaluation.config import EvaluationConfig
from rnas.evaluation.examples import FOLDER as EXAMPLES_FOLDER
from rnas.evaluation.examples import Examples
from rnas.evaluation.fingerprints import as_floats, images_fingerprint, model_fingerprint
from rnas.evaluation.inputs import check_data, check_model, check_second_model, device_of
from rnas.evaluation.outcomes import Outcomes, Record
from rnas.evaluation.prepared import Targets
from rnas.evaluation.sanity import Check, examine
from rnas.evaluation.suite import ATTACKS, AttackCard, Settings
from rnas.evaluation.summary import CLEAN, Evaluation
from rnas.seeding import derive

__all__ = ["evaluate"]

SANITY_IMAGES = 256
"""Images on which the clean accuracy is judged; of those `examine` attacks a few."""


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
        classes: of the data; a model that tells another number apart is refused. None takes any that covers the labels.
        folder: where `outcomes.parquet` is kept, saved after every batch. What it holds of the same model and images is
            not repeated, so that an interrupted evaluation continues and further attacks extend a finished one. None
            keeps the outcomes in memory.
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
        cw_steps=cw_steps,
        square_queries=square_queries,
        apgd_steps=apgd_steps,
        transfer_from=None if second_model is None else second_model[0],
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
        evaluator = _Evaluator(
            model, images, labels.long().cpu(), config, seed, folder, save_images, progress, second_model
        )
        evaluator.run(CLEAN)
        if attacks:
            evaluator.examine()
        for name in attacks:
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
        save_images: int,
        progress: Callable[..., None] | None,
        second_model: tuple[str, nn.Module] | None,
    ) -> None:
        self.model, self.images, self.labels = model, images, labels
        self.config, self.seed, self.progress, self.second_model = config, seed, progress, second_model
        self.folder, self.save_images = folder, save_images
        self.examples: Examples | None = None
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
        everything = torch.arange(len(labels)).split(config.batch_size)
        self.targets = Targets(model, second_model, lambda: (self._select(batch) for batch in everything))
        self.settings: dict[str, Settings] = {}
        self.examined: tuple[Check, ...] = ()

    def examine(self) -> None:
        """Check that attacking this model can tell anything."""
        chosen = stratified_subset(self.labels, SANITY_IMAGES, self.seed)
        labels = self.labels[chosen].to(self.device)
        self.examined = examine(self.model, self._select(chosen), labels, eps=self.config.eps, seed=self.seed)

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
        settings = self._settings(card, chosen)
        done = self.record.begin(name, settings, chosen.numpy())
        if done:
            self._report(name, before + done, total)
        self.examples = None if card is None else self._examples(name, chosen, settings)
        size = self.config.batch_size * (1 if card is None else card.batches)
        for number, batch in enumerate(chosen.split(size)):
            begun = time.perf_counter()
            recorded = number * size < done
            # A batch that was attacked before gives the same images again.
            if recorded and (self.examples is None or not self.examples.lacks(batch)):
                continue
            seed = derive(self.seed, name, number)
            outcomes = self._clean(batch) if card is None else self._attack(name, card, batch, seed)
            if not recorded:
                self.record.append(name, outcomes, time.perf_counter() - begun)
                done += len(batch)
                self._report(name, before + done, total)

    def result(self) -> Evaluation:
        """What was asked for, of all that the record holds."""
        return Evaluation(self.record.outcomes.of(*self.settings), self.settings, self.record.seconds, self.examined)

    def _settings(self, card: AttackCard | None, chosen: Tensor) -> Settings:
        if card is None:
            return {}
        return {**card.settings(self.config), **self.targets.settings(card), "images": len(chosen)}

    def _images_of(self, name: str) -> Tensor:
        count = self.config.autoattack_images
        if name.startswith("autoattack") and count is not None:
            return stratified_subset(self.labels, count, self.seed)
        return torch.arange(len(self.labels))

    def _examples(self, name: str, chosen: Tensor, settings: Settings) -> Examples | None:
        """The first images of an attack that the model classifies correctly, as many as are to be saved."""
        if self.folder is None or not self.save_images:
            return None
        clean = self.record.outcomes.of(CLEAN)
        wanted = chosen[torch.from_numpy(~clean.broken)[chosen]][: self.save_images]
        path = self.folder / EXAMPLES_FOLDER / f"{name}.safetensors"
        return Examples(path, wanted, {**self.record.identity, **settings})

    def _clean(self, batch: Tensor) -> Outcomes:
        predictions, margins = self._judge(self._select(batch), self.labels[batch], "the clean images")
        zero = torch.zeros(len(batch))
        return self._outcomes(CLEAN, batch, predictions, predictions, margins, zero, zero, zero.bool())

    def _attack(self, name: str, card: AttackCard, batch: Tensor, seed: int) -> Outcomes:
        labels, before = self.labels[batch], self.record.outcomes.of(CLEAN)
        clean_predictions = torch.from_numpy(before.prediction)[batch]
        predictions, margins = clean_predictions.clone(), torch.from_numpy(before.margin)[batch]
        linf, l2 = torch.zeros(len(batch)), torch.zeros(len(batch), dtype=torch.float64)
        chosen, denied = (clean_predictions == labels) | card.every_image, torch.zeros(len(batch), dtype=torch.bool)
        if chosen.any():
            clean, targets = self._select(batch[chosen]), labels[chosen]
            target, on_device = self.targets.of(card), targets.to(self.device)
            made = attack(card, target, clean, on_device, self.config, seed)
            adversarial, linf[chosen], l2[chosen], denied[chosen] = made
            what = f"the adversarial images of {card.title}"
            predictions[chosen], margins[chosen] = self._judge(adversarial, targets, what)
            if self.examples is not None:
                self.examples.add(
                    image=batch[chosen],
                    label=targets,
                    clean_prediction=clean_predictions[chosen],
                    prediction=predictions[chosen],
                    clean=clean,
                    adversarial=adversarial,
                )
        return self._outcomes(name, batch, clean_predictions, predictions, margins, linf, l2, denied)

    def _select(self, batch: Tensor) -> Tensor:
        return as_floats(self.images[batch.to(self.images.device)].to(self.device))

    def _judge(self, images: Tensor, labels: Tensor, what: str) -> tuple[Tensor, Tensor]:
        return judge(self.model, images, labels, batch_size=self.config.batch_size, what=what)

    def _outcomes(
        self,
        name: str,
        batch: Tensor,
        clean_predictions: Tensor,
        predictions: Tensor,
        margins: Tensor,
        linf: Tensor,
        l2: Tensor,
        denied: Tensor,
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
            denied=denied.numpy(),
        )

    def _report(self, name: str, done: int, total: int) -> None:
        if self.progress is not None:
            name = name.partition("/")[0]
            title = "Clean" if name == CLEAN else ATTACKS[name].title
            robust = 1 - float(self.record.outcomes.of(name).broken.mean())
            self.progress(attack=title, done=done, total=total, robust_accuracy=robust)
