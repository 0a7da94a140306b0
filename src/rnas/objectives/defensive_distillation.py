"""Defensive distillation: the classic defence that only hides gradients.

    p(x; T) = softmax(f_theta(x) / T)
    L = mean of [ -sum over classes c of q_c(x) log p_c(x; T) ]

q is p of a trained teacher at the same T, or where there is no teacher the label itself: so the teacher is trained
first, by this objective without one. At T = 1, where the network is used, its logits are about T times as large as
others': the softmax saturates, and the gradient of the cross-entropy is zero in float32. Nothing has become robust:
attacks by the margin of logits break it as any other (Carlini and Wagner 2017). It is here so that evaluations can show
that they see it.

References:
    Papernot et al. 2016, "Distillation as a Defense to Adversarial Perturbations against Deep Neural Networks"
    (https://arxiv.org/abs/1511.04508), Section III and Eq. 10.
    Carlini and Wagner 2017, "Towards Evaluating the Robustness of Neural Networks" (https://arxiv.org/abs/1608.04644),
    Section VIII, who break it.

Deviations:
    The teacher sees the same augmented images as the student. The smoothing of labels, if any, is that of labels, not
    of a teacher's.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rnas.errors import ModelError, RnasError
from rnas.evaluation.fingerprints import model_fingerprint
from rnas.evaluation.watched import WatchedModel
from rnas.models.resolve import load_model
from rnas.objectives.config import ObjectiveConfig
from rnas.objectives.registry import OBJECTIVES, Objective

__all__ = ["DefensiveDistillation"]


@OBJECTIVES.register("defensive_distillation")
class DefensiveDistillation(Objective):
    """L = cross_entropy(model(x) / T, softmax(teacher(x) / T)), or of the labels where there is no teacher."""

    attacks = False

    def __init__(self, settings: ObjectiveConfig) -> None:
        super().__init__(settings)
        text = settings.defensive_distillation.teacher
        self.teacher = None if text is None else _load(text)

    @property
    def inputs(self) -> dict[str, str]:
        """The teacher, whose weights decide the result."""
        return {} if self.teacher is None else {"teacher": model_fingerprint(self.teacher)}

    def __call__(
        self,
        model: nn.Module,
        attacked: nn.Module,  # noqa: ARG002 - one signature for all objectives
        images: Tensor,
        labels: Tensor,
        generator: torch.Generator,  # noqa: ARG002
    ) -> tuple[Tensor, Tensor]:
        """Arguments and returns as in `Objective`; the logits are those at T = 1."""
        temperature = self.settings.defensive_distillation.temperature
        logits = model(images)
        if self.teacher is None:
            return self.cross_entropy(logits / temperature, labels), logits
        taught = self.soft(images, logits.shape[1])
        return F.cross_entropy(logits / temperature, (taught / temperature).softmax(dim=1)), logits  # Equation 10

    @torch.no_grad()
    def soft(self, images: Tensor, classes: int) -> Tensor:
        """The teacher's logits (N, classes).

        Raises:
            ModelError: if it cannot take the images, or tells another number of classes apart.
        """
        assert self.teacher is not None
        name = f"the teacher {self.settings.defensive_distillation.teacher}"
        try:
            taught = WatchedModel(self.teacher.to(images.device), tried=False)(images)
        except ModelError as error:
            raise ModelError(f"{name}: {error}") from error
        if taught.shape[1] != classes:
            raise ModelError(f"{name} tells {taught.shape[1]} classes apart, the network {classes}")
        return taught


def _load(text: str) -> nn.Module:
    try:
        return load_model(text).network.requires_grad_(False)
    except RnasError as error:
        raise type(error)(f"training.defensive_distillation.teacher: {error}") from error
