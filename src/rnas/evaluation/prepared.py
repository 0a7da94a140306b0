"""Prepare a model for attacks: a copy that computes the same, faster. Its answers are never results.

The copy is in evaluation mode, has batch norm folded into convolutions (`rnas.attacks.folding`), is stored in
channels_last and takes no gradients in its weights. Its logits differ from the model's by rounding, so an image may be
broken for it and not for the model. An attack that stops at the first success, as AutoAttack does, would stop there too
early; such images are therefore attacked again, on the model itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn

from rnas.attacks.folding import FoldedNetwork
from rnas.attacks.guards import Model
from rnas.errors import RnasError
from rnas.evaluation.card import AttackCard, Settings
from rnas.evaluation.clean_checks import difference
from rnas.evaluation.fingerprints import model_fingerprint
from rnas.evaluation.watched import WatchedModel

__all__ = ["PreparedModel", "Targets"]

TOLERANCE = 1e-4
"""Largest difference of a batch's logits, as a share of the largest."""


class PreparedModel:
    """A model, and the view of it that is attacked.

    Args:
        model: images (N, C, H, W) in [0, 1] to logits (N, classes), in evaluation mode; it is not changed.
        batches: clean images, on which the two are compared; taken only if there is a view.
    """

    @torch.no_grad()
    def __init__(self, model: Model, batches: Iterable[Tensor]) -> None:
        self.model = self.view = model
        #: What attacks see, as a setting of the results: "prepared", or "model" with the reason.
        self.seen = "model: not a torch.nn.Module"
        if not isinstance(model, nn.Module):
            return
        watched, same = WatchedModel(model), True
        try:
            view = FoldedNetwork(model).refresh().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
            for images in batches:
                # Written so that a NaN is a difference as well.
                if not difference(watched(images), view(images.clone())) <= TOLERANCE:
                    same = False
                    break
        except RnasError:
            # Of the model itself.
            raise
        except Exception as error:
            # A model of any origin may refuse to be copied or laid out in another way. It is then attacked as it is.
            self.seen = f"model: no copy of it can be used ({type(error).__name__})"
            return
        if same:
            self.view, self.seen = view, "prepared"
        else:
            self.seen = f"model: the logits of a copy differ by more than {TOLERANCE:g} of their size"

    def attack(self, rule: Callable[[Model, Tensor], Tensor], labels: Tensor) -> tuple[Tensor, Tensor]:
        """Attack the view, and then the model itself on the images for which it denies the view's success.

        Args:
            rule: a model, and which of the N clean images to attack (N,), bool, to adversarial images of those.
            labels: (N,), int64.

        Returns:
            The adversarial images (N, C, H, W), and for which of them (N,) the model denied a success.
        """
        view, model = WatchedModel(self.view), WatchedModel(self.model)
        denied = torch.zeros_like(labels, dtype=torch.bool)
        adversarial = rule(view, ~denied)
        if self.view is not self.model:
            broken = view(adversarial).argmax(dim=1) != labels
            denied = broken & (model(adversarial).argmax(dim=1) == labels)
        if denied.any():
            adversarial[denied] = rule(model, denied)
        return adversarial, denied


class Targets:
    """The models that attacks are made on, each prepared when an attack first needs it.

    Args:
        model: the one that is evaluated.
        second: name and model that transfer attacks are made on, if there are any.
        batches: to clean images, anew for each model.
    """

    def __init__(
        self, model: Model, second: tuple[str, nn.Module] | None, batches: Callable[[], Iterable[Tensor]]
    ) -> None:
        self.model, self.second, self.batches = model, second, batches
        self.prepared: dict[bool, PreparedModel] = {}

    def of(self, card: AttackCard) -> PreparedModel:
        """The model that an attack is made on."""
        if card.transfers not in self.prepared:
            # The configuration asks for a second model where an attack needs one.
            model = self.second[1] if card.transfers and self.second is not None else self.model
            self.prepared[card.transfers] = PreparedModel(model, self.batches())
        return self.prepared[card.transfers]

    def settings(self, card: AttackCard) -> Settings:
        """The settings of results that tell what was attacked; empty for corruptions, which look at no model."""
        if card.every_image or card.parts is not None:
            return {}
        found: Settings = {"attacked": self.of(card).seen}
        if card.transfers and self.second is not None:
            name, model = self.second
            found |= {"from": name, "weights": model_fingerprint(model)[:12]}
        return found
