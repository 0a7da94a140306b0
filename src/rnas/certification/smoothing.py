"""Randomised smoothing: what a network says most often of an image under Gaussian noise, and how far that is proved.

    g(x) = argmax over c of P(f(x + e) = c),  e ~ N(0, sigma^2 I)

If the probability of the first class is at least p > 1/2, g says it in the whole ball ||d||_2 < sigma * Phi^-1(p). That
holds in all of R^n, so also where images end at 0 and 1. p is bounded from below by counting votes, so a certificate is
wrong with probability at most alpha, for each image.

References:
    Cohen et al. 2019, "Certified Adversarial Robustness via Randomized Smoothing" (https://arxiv.org/abs/1902.02918),
    Theorem 1 and the pseudocode of Section 3.2 (PREDICT, CERTIFY).
    Clopper and Pearson 1934, "The Use of Confidence or Fiducial Limits Illustrated in the Case of the Binomial",
    Biometrika 26, for the bound on p.
    Salman et al. 2019, "Provably Robust Deep Learning via Adversarially Trained Smoothed Classifiers"
    (https://arxiv.org/abs/1906.04584), Eq. 6, for the model that gradients can attack.

Deviations:
    Two classes with equally many votes of the n0: the lower one is tried; in the paper any.

Each image has noise of its own stream, seeded by the caller's generator, draw by draw: so the batch size changes no
vote but by the rounding of the network itself. Rounding is not covered by the proof.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from rnas.attacks.guards import Model, check_images, evaluation_mode, image_gradient
from rnas.config import require
from rnas.errors import ModelError

__all__ = ["ABSTAINED", "SmoothedModel", "certify", "log_mean_softmax", "lower_bound", "predict"]

ABSTAINED = -1
"""In place of a class: the votes do not decide."""


def certify(
    model: Model,
    images: Tensor,
    *,
    sigma: float,
    n0: int = 100,
    n: int = 100_000,
    alpha: float = 0.001,
    batch_size: int = 1000,
    generator: torch.Generator,
) -> tuple[Tensor, Tensor]:
    """What the smoothed classifier says, and the L2 radius in which it is proved to say so.

    Source: Cohen et al. 2019, CERTIFY.

    Args:
        model: the base classifier, images (N, C, H, W) to logits (N, classes); called in evaluation mode, left as it
            was.
        images: (N, C, H, W), floating point in [0, 1], on the model's device.
        sigma: deviation of the noise in every pixel, in units of the images, > 0.
        n0: noisy images that choose the class, >= 1.
        n: noisy images that count its votes, >= 1. No radius exceeds sigma * Phi^-1(alpha^(1/n)).
        alpha: probability that a certificate is wrong, for each image, in (0, 1).
        batch_size: noisy images in one pass, >= 1.
        generator: source of the noise, on any device; it draws one number for each image.

    Returns:
        The classes (N,), int64, `ABSTAINED` where no class is proved; and the radii (N,), float64, in units of the
        images, 0 where it abstains. On the CPU.

    Raises:
        ConfigError: if a setting is out of range.
        ValueError: if the images are malformed.
        ModelError: if a logit is not finite.
    """
    from scipy.special import ndtri  # takes as long to import as half of torch

    _check(images, sigma, alpha, n0=n0, n=n, batch_size=batch_size)
    classes, radii = torch.full((len(images),), ABSTAINED), torch.zeros(len(images), dtype=torch.float64)
    for index, (first, counted) in enumerate(_votes(model, images, (n0, n), sigma, batch_size, generator)):
        chosen = int(first.argmax())
        proved = lower_bound(int(counted[chosen]), n, alpha)
        if proved > 0.5:
            classes[index], radii[index] = chosen, sigma * float(ndtri(proved))  # Theorem 1 with p_B = 1 - p_A
    return classes, radii


def predict(
    model: Model,
    images: Tensor,
    *,
    sigma: float,
    n: int = 1000,
    alpha: float = 0.001,
    batch_size: int = 1000,
    generator: torch.Generator,
) -> Tensor:
    """What the smoothed classifier says.

    Source: Cohen et al. 2019, PREDICT.

    Args:
        model: as in `certify`.
        images: as in `certify`.
        sigma: as in `certify`.
        n: noisy images that vote, >= 1.
        alpha: probability, for each image, of a class that is not the smoothed classifier's, in (0, 1).
        batch_size: as in `certify`.
        generator: as in `certify`.

    Returns:
        The classes (N,), int64, on the CPU; `ABSTAINED` where the first two may as well have equally many votes.

    Raises:
        ConfigError, ValueError, ModelError: as `certify`.
    """
    from scipy.special import betainc

    _check(images, sigma, alpha, n=n, batch_size=batch_size)
    classes = torch.full((len(images),), ABSTAINED)
    for index, (counted,) in enumerate(_votes(model, images, (n,), sigma, batch_size, generator)):
        (most, second), (winner, _) = (part.tolist() for part in counted.topk(2))
        # The two-sided test of a fair coin: twice P(X >= most) = I_1/2(most, second + 1) for X ~ B(most + second, 1/2).
        if 2 * float(betainc(most, second + 1, 0.5)) <= alpha:
            classes[index] = winner
    return classes


def lower_bound(count: int, n: int, alpha: float) -> float:
    """The one-sided bound of Clopper and Pearson: with probability 1 - alpha a share is at least this.

    Args:
        count: how often it happened, in [0, n].
        n: of how many times, >= 1.
        alpha: probability that the bound is too high, in (0, 1).
    """
    from scipy.special import betaincinv

    return float(betaincinv(count, n - count + 1, alpha)) if count else 0.0


def log_mean_softmax(logits: Tensor) -> Tensor:
    """The logarithm of the mean of several predictions.

    Args:
        logits: (draws, N, classes).

    Returns:
        (N, classes), whose softmax is the mean softmax.
    """
    return logits.log_softmax(dim=2).logsumexp(dim=0) - math.log(len(logits))


class SmoothedModel(nn.Module):
    """A smoothed classifier as a differentiable model: log of the mean softmax over noise that stays the same.

    It stands for g where something needs gradients or one answer, as attacks do (Salman et al. 2019, Eq. 6, with the
    softmax in place of the votes). `certify` and `predict` take its `base`. All images get the same draws, so that no
    image depends on its batch. They pass the base together, as images of one batch. A backward pass computes each
    draw again, one after another, so that memory holds the feature maps of one; it ends at the images, for a smoothed
    model is not trained.

    Args:
        base: the base classifier, images to logits.
        sigma: deviation of the noise in every pixel, in units of the images, > 0.
        draws: noises that are averaged over, >= 1.
        seed: of the noise, in [0, 2^63).

    Raises:
        ConfigError: if a setting is out of range.
    """

    def __init__(self, base: nn.Module, sigma: float, draws: int = 16, seed: int = 0) -> None:
        super().__init__()
        require(0 < sigma < math.inf, "sigma", "a number > 0", sigma)
        require(draws >= 1, "draws", "an integer >= 1", draws)
        self.base = base
        self.sigma, self.draws, self.seed = sigma, draws, seed
        self._noise: Tensor | None = None

    def forward(self, images: Tensor) -> Tensor:
        """Images (N, C, H, W) to (N, classes): logarithms of probabilities."""
        noisy = images + self._noises(images).unsqueeze(1)
        return log_mean_softmax(_Passes.apply(noisy, self.base))  # type: ignore[no-untyped-call]

    def extra_repr(self) -> str:
        return f"sigma={self.sigma:g}, draws={self.draws}, seed={self.seed}"

    def _noises(self, images: Tensor) -> Tensor:
        """The draws (draws, C, H, W), made on the CPU when images of a shape, type and device first come."""
        shape = (self.draws, *images.shape[1:])
        noise = self._noise
        if noise is None or (noise.shape, noise.dtype, noise.device) != (shape, images.dtype, images.device):
            generator = torch.Generator().manual_seed(self.seed)
            with torch.inference_mode(False):
                drawn = self.sigma * torch.randn(shape, generator=generator)
                self._noise = noise = drawn.to(images.device, images.dtype)
        return noise


class _Passes(torch.autograd.Function):
    """All draws (draws, N, C, H, W) through the base, to logits (draws, N, classes).

    What torch has for this, `torch.utils.checkpoint`, compares the tensors of both passes, and those of a compiled
    TorchScript program differ.
    """

    @staticmethod
    def forward(ctx: Any, noisy: Tensor, base: nn.Module) -> Tensor:
        ctx.base = base
        ctx.save_for_backward(noisy)
        logits: Tensor = base(noisy.flatten(0, 1))
        return logits.unflatten(0, (len(noisy), -1))

    @staticmethod
    def backward(ctx: Any, gradients: Tensor) -> tuple[Tensor, None]:
        (noisy,) = ctx.saved_tensors
        found = []
        for images, gradient in zip(noisy, gradients, strict=True):
            with torch.enable_grad():
                drawn = images.detach().requires_grad_()
                logits = ctx.base(drawn)
            found.append(image_gradient(logits, drawn, gradient))
        return torch.stack(found), None


@torch.no_grad()
def _votes(
    model: Model, images: Tensor, counts: tuple[int, ...], sigma: float, batch_size: int, generator: torch.Generator
) -> list[list[Tensor]]:
    """For each image and each count, the votes for every class (classes,) of so many noisy images."""
    found = []
    with evaluation_mode(model):
        for image in images:
            seed = int(torch.randint(2**63 - 1, (), generator=generator, device=generator.device))
            source = torch.Generator(generator.device).manual_seed(seed)
            found.append([_count(model, image, count, sigma, batch_size, source) for count in counts])
    return found


def _count(model: Model, image: Tensor, count: int, sigma: float, batch_size: int, source: torch.Generator) -> Tensor:
    """The votes for every class (classes,) among so many noisy copies of an image (C, H, W)."""
    votes: Tensor | int = 0
    for start in range(0, count, batch_size):
        size = min(batch_size, count - start)
        # One draw at a time: how torch cuts a large draw into pieces depends on its size.
        noise = [torch.randn(image.shape, generator=source, device=source.device) for _ in range(size)]
        logits = model(image + sigma * torch.stack(noise).to(image))
        if not bool(logits.isfinite().all()):
            raise ModelError("the model's logits of noisy images are not finite")
        votes = votes + logits.argmax(dim=1).bincount(minlength=logits.shape[1])
    assert isinstance(votes, Tensor)  # count >= 1
    return votes.cpu()


def _check(images: Tensor, sigma: float, alpha: float, **counts: int) -> None:
    """Refuse settings out of range, and what is no batch of images."""
    require(0 < sigma < math.inf, "sigma", "a number > 0", sigma)
    require(0 < alpha < 1, "alpha", "a number in (0, 1)", alpha)
    for key, value in counts.items():
        require(value >= 1, key, "an integer >= 1", value)
    check_images(images)
