"""An evaluation under way: every attack, batch by batch, verified, recorded, and resumed where it stopped.

A batch's outcome depends on the model, the images, the attack's settings and a seed derived for that batch, on nothing
that ran before; a resumed evaluation therefore ends with the outcomes of an uninterrupted one.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from rnas.attacks.guards import Model
from rnas.config import Distance
from rnas.data.splits import stratified_subset
from rnas.errors import ModelError
from rnas.evaluation.attacking import attack, judge, remarks_of
from rnas.evaluation.card import AttackCard, Settings
from rnas.evaluation.config import EvaluationConfig
from rnas.evaluation.examples import Examples
from rnas.evaluation.fingerprints import as_floats, images_fingerprint, model_fingerprint
from rnas.evaluation.inputs import device_of
from rnas.evaluation.outcomes import Outcomes
from rnas.evaluation.prepared import Targets
from rnas.evaluation.records import Record
from rnas.evaluation.sanity import examine
from rnas.evaluation.suite import ATTACKS
from rnas.evaluation.summary import CLEAN, Evaluation
from rnas.evaluation.watched import WatchedModel
from rnas.run.attack_results import Check
from rnas.seeding import derive

__all__ = ["Session"]

SANITY_IMAGES = 256
"""Images on which the clean accuracy is judged; of those `examine` attacks a few."""


class Session:
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
        self.watched = WatchedModel(model)
        self.config, self.seed, self.progress, self.second_model = config, seed, progress, second_model
        self.folder = folder
        self.examples: Examples | None = None
        self.remarks: list[str] = []
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
            }
        self.record = Record(folder, identity, Outcomes)
        chosen = self._images_of(CLEAN).split(config.batch_size)
        self.targets = Targets(model, second_model, lambda: (self._select(batch) for batch in chosen))
        #: What the model says of the clean images, once it was asked: class and margin, each of shape (N,).
        self.predictions = torch.zeros_like(self.labels)
        self.margins = torch.zeros(len(labels), dtype=torch.float64)
        self.settings: dict[str, Settings] = {}
        self.outcomes: list[Outcomes] = []
        self.examined: tuple[Check, ...] = ()

    def refuse_others(self, name: str) -> None:
        """Before anything is attacked: the record must not hold an attack's outcomes with other settings."""
        for part, card in ATTACKS[name].members(name).items():
            self.record.refuse_others(part, self._settings(card))

    def examine(self) -> None:
        """Check that attacking this model can tell anything; what the record holds of it is not repeated."""
        kept = self.record.checks.get(str(float(self.config.eps)))
        if kept is not None:
            self.examined = tuple(map(Check.from_json, kept))
            return
        chosen = stratified_subset(self.labels, SANITY_IMAGES, self.seed)
        labels = self.labels[chosen].to(self.device)
        self.examined = examine(self.model, self._select(chosen), labels, eps=self.config.eps, seed=self.seed)
        self.record.keep_checks(float(self.config.eps), [check.to_json() for check in self.examined])

    @property
    def constant(self) -> bool:
        """Whether the sanity checks found that nothing changes the class that the model says."""
        return any(check.name == "constant" for check in self.examined)

    def run(self, name: str) -> None:
        """Run an attack, or no attack ("clean"), on the batches that are not recorded yet."""
        card = None if name == CLEAN else ATTACKS[name]
        chosen, parts = self._images_of(name), {CLEAN: None} if card is None else card.members(name)
        for index, (part, member) in enumerate(parts.items()):
            self._run_part(part, member, chosen, index * len(chosen), len(parts) * len(chosen))
        self.settings[name] = {} if card is None else {**self._settings(card), "images": len(chosen)}
        found = self.record.outcomes.of(name).on(chosen.numpy())
        self.outcomes.append(found)
        if card is None:
            self.predictions[found.image] = torch.from_numpy(found.prediction)
            self.margins[found.image] = torch.from_numpy(found.margin)

    def _run_part(self, name: str, card: AttackCard | None, chosen: Tensor, before: int, total: int) -> None:
        settings = self._settings(card)
        recorded = [torch.from_numpy(batch) for batch in self.record.begin(name, settings, len(chosen))]
        self.examples = None if card is None else self._examples(name, chosen, settings)
        for number, batch in enumerate(recorded):
            # A batch that was attacked before gives the same images again.
            if card is not None and self.examples is not None and self.examples.lacks(batch):
                self._attack(name, card, batch, derive(self.seed, name, number))
        left = chosen[~torch.isin(chosen, torch.cat(recorded))] if recorded else chosen
        if len(left) < len(chosen):
            self._report(name, before + len(chosen) - len(left), total)
        size = self.config.batch_size * (1 if card is None else card.batches)
        for number, batch in enumerate(left.split(size) if len(left) else ()):
            begun, self.remarks = time.perf_counter(), []
            seed = derive(self.seed, name, len(recorded) + number)
            outcomes = self._clean(batch) if card is None else self._attack(name, card, batch, seed)
            self.record.append(name, outcomes, time.perf_counter() - begun, self.remarks)
            self._report(name, before + len(chosen) - len(left) + number * size + len(batch), total)

    def result(self) -> Evaluation:
        """The results that were asked for, out of all in the record."""
        outcomes = self.outcomes[0].followed_by(*self.outcomes[1:])
        return Evaluation(outcomes, self.settings, self.record.seconds, self.examined, self.record.remarks)

    def _settings(self, card: AttackCard | None) -> Settings:
        return {} if card is None else {**card.settings(self.config), **self.targets.settings(card)}

    def _images_of(self, name: str) -> Tensor:
        count = self.config.images_for(name, len(self.labels))
        return stratified_subset(self.labels, count, derive(self.seed, "test images"))

    def _examples(self, name: str, chosen: Tensor, settings: Settings) -> Examples | None:
        """The first images of an attack that the model classifies correctly, as many as are to be saved."""
        if self.folder is None or not self.config.save_images:
            return None
        wanted = chosen[self.predictions[chosen] == self.labels[chosen]][: self.config.save_images]
        return Examples(self.folder, name, wanted, {**self.record.identity, **settings})

    def _clean(self, batch: Tensor) -> Outcomes:
        predictions, margins = self._judge(self._select(batch), self.labels[batch], "the clean images")
        zero = torch.zeros(len(batch))
        return self._outcomes(CLEAN, batch, predictions, predictions, margins, zero, zero, zero.bool())

    def _attack(self, name: str, card: AttackCard, batch: Tensor, seed: int) -> Outcomes:
        labels, clean_predictions = self.labels[batch], self.predictions[batch]
        predictions, margins = clean_predictions.clone(), self.margins[batch]
        linf, l2 = torch.zeros(len(batch)), torch.zeros(len(batch), dtype=torch.float64)
        chosen, denied = (clean_predictions == labels) | card.every_image, torch.zeros(len(batch), dtype=torch.bool)
        if chosen.any():
            clean, targets = self._select(batch[chosen]), labels[chosen]
            adversarial, config = clean, self.config
            if self.constant:
                # Nothing changes the class, and without room attacks say so at once; others have no ball to close.
                config = replace(config, eps=Distance(0), eps_l2=Distance(0))
            if card.every_image or card.norm is not None or not self.constant:
                target, on_device = self.targets.of(card), targets.to(self.device)
                made, self.remarks = remarks_of(partial(attack, card, target, clean, on_device, config, seed))
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
        return judge(self.watched, images, labels, batch_size=self.config.batch_size, what=what)

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
            robust = self.record.outcomes.robust_accuracy(name)
            self.progress(attack=title, done=done, total=total, robust_accuracy=robust)
