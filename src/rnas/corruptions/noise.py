"""Noise, drawn independently for every pixel and channel; strengths of Hendrycks and Dietterich 2019 for CIFAR-10-C."""

import torch
from torch import Tensor

from rnas.corruptions.registry import CORRUPTIONS

__all__ = ["gaussian_noise", "impulse_noise", "shot_noise"]


@CORRUPTIONS.register("gaussian_noise", "Gaussian noise", (0.04,), (0.06,), (0.08,), (0.09,), (0.10,))
def gaussian_noise(images: Tensor, generator: torch.Generator, deviation: float) -> Tensor:
    """Noise of poor light: add a normal number of this standard deviation, in units of images in [0, 1]."""
    return images + deviation * torch.randn(images.shape, generator=generator)


@CORRUPTIONS.register("shot_noise", "Shot noise", (500,), (250,), (100,), (75,), (50,))
def shot_noise(images: Tensor, generator: torch.Generator, photons: float) -> Tensor:
    """Noise of counted light: a Poisson number of photons in each pixel. A white one gets so many on average."""
    return torch.poisson(images * photons, generator=generator) / photons


@CORRUPTIONS.register("impulse_noise", "Impulse noise", (0.01,), (0.02,), (0.03,), (0.05,), (0.07,))
def impulse_noise(images: Tensor, generator: torch.Generator, share: float) -> Tensor:
    """Salt and pepper: this share of all values becomes 0 or 1, either as likely."""
    uniform = torch.rand(images.shape, generator=generator)
    return torch.where(uniform < share, (uniform < share / 2).float(), images)
