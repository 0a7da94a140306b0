"""Blur; strengths of Hendrycks and Dietterich 2019 for CIFAR-10-C, in pixels of an image of 32.

Beyond the edge an image goes on with its outermost pixels, and under defocus blur with its mirror image about them, as
in the authors' libraries, which differ in this from each other.
"""

import math

import numpy as np
import torch
from scipy.ndimage import gaussian_filter
from torch import Tensor
from torch.nn import functional as F

from rnas.corruptions.registry import CORRUPTIONS, length_scale

__all__ = ["defocus_blur", "gaussian_blur", "motion_blur"]


@CORRUPTIONS.register("gaussian_blur", "Gaussian blur", (0.4,), (0.6,), (0.7,), (0.8,), (1.0,))
def gaussian_blur(images: Tensor, generator: torch.Generator, sigma: float) -> Tensor:  # noqa: ARG001
    """Convolve with a Gaussian of this standard deviation."""
    width = sigma * length_scale(images)
    return torch.from_numpy(gaussian_filter(images.numpy(), (0, 0, width, width), mode="nearest"))


@CORRUPTIONS.register(
    "defocus_blur", "Defocus blur", (0.3, 0.4), (0.4, 0.5), (0.5, 0.6), (1.0, 0.2), (1.5, 0.1), revision=2
)
def defocus_blur(images: Tensor, generator: torch.Generator, radius: float, alias: float) -> Tensor:  # noqa: ARG001
    """Convolve with a disk, as a lens out of focus does; a Gaussian over 3x3 pixels softens its rim."""
    radius = radius * length_scale(images)
    reach = math.floor(radius) + 1
    offsets = torch.arange(-reach, reach + 1)
    disk = (offsets[:, None].square() + offsets.square() <= radius**2).float()
    kernel = torch.from_numpy(gaussian_filter((disk / disk.sum()).numpy(), alias, radius=1))
    # NumPy's reflection goes on where the reach is more than the image, torch's does not.
    planes = np.pad(images.flatten(0, 1).numpy(), ((0, 0), (reach, reach), (reach, reach)), mode="reflect")
    return F.conv2d(torch.from_numpy(planes).unsqueeze(1), kernel[None, None]).view_as(images)


@CORRUPTIONS.register("motion_blur", "Motion blur", (6, 1.0), (6, 1.5), (6, 2.0), (8, 2.0), (9, 2.5))
def motion_blur(images: Tensor, generator: torch.Generator, radius: float, sigma: float) -> Tensor:
    """Smear each image along a line within 45 degrees of the horizontal, one-sided, fading as a Gaussian.

    As in ImageMagick, which the authors used, the line is 2 * radius + 1 pixels long; what lies beyond 4 sigma, less
    than a thousandth of its weight, is left out here.
    """
    scale = length_scale(images)
    reach = min(2 * math.ceil(radius * scale), math.ceil(4 * sigma * scale))
    weights = torch.exp(-0.5 * (torch.arange(reach + 1) / (sigma * scale)).square())
    angles = math.pi / 4 * (2 * torch.rand(len(images), generator=generator) - 1)
    count, channels, height, width = images.shape
    image, channel = torch.arange(count).view(-1, 1, 1, 1), torch.arange(channels).view(1, -1, 1, 1)
    blurred = torch.zeros_like(images)
    for distance, weight in enumerate(weights / weights.sum()):
        down, right = ((distance * part).round().long().unsqueeze(1) for part in (angles.sin(), angles.cos()))
        rows = (torch.arange(height) + down).clamp(0, height - 1).view(count, 1, height, 1)
        columns = (torch.arange(width) + right).clamp(0, width - 1).view(count, 1, 1, width)
        blurred += weight * images[image, channel, rows, columns]
    return blurred
