"""SmoothAdv: adversarial training of a smoothed model.

    G(x) = mean over j of p(x + e_j),  e_j ~ N(0, sigma^2 I), j = 1, ..., m
    x~ = argmax over ||x~ - x||_2 <= eps of -log G_y(x~)
    L = mean over j of cross_entropy(f_theta(x~ + e_j), y)

p is the softmax of the network's logits. The inner maximum is approximated by PGD in the L2 ball, which begins at x;
the noise stays the same in all of its steps and in the loss.

References:
    Salman et al. 2019, "Provably Robust Deep Learning via Adversarially Trained Smoothed Classifiers"
    (https://arxiv.org/abs/1906.04584), Eq. 5 and 6 and the pseudocode of Section 3.2 (SmoothAdv_PGD); clipping to
    [0, 1] and steps of 2 eps / T are those of the authors' code (Hadisalman/smoothing-adversarial).

Deviations:
    eps does not rise over the first epochs. Each draw passes the network as a batch of its own, so batch norm takes its
    statistics; in the authors' code all draws are one batch.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from rnas.attacks import pgd_l2
from rnas.attacks.guards import evaluation_mode
from rnas.attacks.noise import draw
from rnas.certification.smoothing import log_mean_softmax
from rnas.objectives.registry import OBJECTIVES, Objective

__all__ = ["SmoothAdv"]


@OBJECTIVES.register("smooth_adv")
class SmoothAdv(Objective):
    """The mean cross-entropy under noise of images that are adversarial to the mean softmax under the same noise."""

    def __call__(
        self, model: nn.Module, attacked: nn.Module, images: Tensor, labels: Tensor, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """Arguments and returns as in `Objective`; the logits are the logarithms of the mean softmax."""
        settings = self.settings.smooth_adv
        drawn = [
            draw(torch.randn, images.shape, generator, device=images.device, dtype=images.dtype)
            for _ in range(settings.draws)
        ]
        noise = settings.sigma * torch.stack(drawn)

        def smoothed(shown: Tensor) -> Tensor:
            logits = attacked((shown + noise).flatten(0, 1))
            return log_mean_softmax(logits.unflatten(0, (settings.draws, -1)))  # log G

        with evaluation_mode(attacked):
            adversarial = pgd_l2(
                smoothed, images, labels,
                eps=settings.eps, step_size=2 * settings.eps / settings.steps, steps=settings.steps,
            )  # fmt: skip
        logits = [model(adversarial + added) for added in noise]
        loss = torch.stack([self.cross_entropy(seen, labels) for seen in logits]).mean()
        return loss, log_mean_softmax(torch.stack(logits))
