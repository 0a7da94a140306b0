"""Changes of light: brightness, contrast, fog; strengths of Hendrycks and Dietterich 2019 for CIFAR-10-C."""

import torch
from torch import Tensor

from rnas.corruptions.registry import CORRUPTIONS

__all__ = ["brightness", "contrast", "fog"]


@CORRUPTIONS.register("brightness", "Brightness", (0.05,), (0.1,), (0.15,), (0.2,), (0.3,))
def brightness(images: Tensor, generator: torch.Generator, more: float) -> Tensor:  # noqa: ARG001
    """Raise the value of hue, saturation and value, which is a pixel's largest channel, by so much, to 1 at most."""
    value = images.amax(dim=1, keepdim=True)
    raised = (value + more).clamp(max=1)
    # Hue and saturation stay where all channels grow by one factor; black has neither, and becomes grey.
    return torch.where(value > 0, images * raised / value.clamp(min=1e-12), raised)


@CORRUPTIONS.register("contrast", "Contrast", (0.75,), (0.5,), (0.4,), (0.3,), (0.15,))
def contrast(images: Tensor, generator: torch.Generator, share: float) -> Tensor:  # noqa: ARG001
    """Keep this share of the distance to the mean of each image's channel."""
    mean = images.mean(dim=(2, 3), keepdim=True)
    return mean + share * (images - mean)


@CORRUPTIONS.register("fog", "Fog", (0.2, 3.0), (0.5, 3.0), (0.75, 2.5), (1.0, 2.0), (1.5, 1.75), revision=2)
def fog(images: Tensor, generator: torch.Generator, density: float, smoothness: float) -> Tensor:
    """Add a cloud in grey of values from 0 to this density, then dim to the brightness that the image had."""
    count, _, height, width = images.shape
    cloud = _clouds(count, max(height, width), smoothness, generator)[:, None, :height, :width]
    brightest = images.amax(dim=(1, 2, 3), keepdim=True)
    return (images + density * cloud) * brightest / (brightest + density)


def _clouds(count: int, size: int, smoothness: float, generator: torch.Generator) -> Tensor:
    """Plasma by the diamond-square algorithm: (count, S, S) in [0, 1], S a power of two and at least `size`, periodic.

    From a single value the grid is refined by halves; each new point is the mean of its four neighbours plus uniform
    noise, whose amplitude falls by the factor smoothness^2 with every halving: in the authors' code it is a product of
    two numbers, each of which falls by `smoothness`.
    """
    step = 1 << max(1, (size - 1).bit_length())
    cloud = torch.zeros(count, step, step)
    noise = 1.0
    while step > 1:
        half = step // 2

        def around(*neighbours: Tensor, amplitude: float = noise) -> Tensor:
            mean = torch.stack(neighbours).mean(dim=0)
            return mean + amplitude * (2 * torch.rand(mean.shape, generator=generator) - 1)

        corners = cloud[:, ::step, ::step]
        below, right = corners.roll(-1, 1), corners.roll(-1, 2)
        centres = around(corners, below, right, below.roll(-1, 2))
        cloud[:, half::step, half::step] = centres
        cloud[:, ::step, half::step] = around(corners, right, centres, centres.roll(1, 1))
        cloud[:, half::step, ::step] = around(corners, below, centres, centres.roll(1, 2))
        step, noise = half, noise / smoothness**2
    lowest, highest = cloud.amin(dim=(1, 2), keepdim=True), cloud.amax(dim=(1, 2), keepdim=True)
    return (cloud - lowest) / (highest - lowest)
