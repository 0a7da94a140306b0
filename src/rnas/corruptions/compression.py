"""Lost detail: JPEG and coarse pixels, both by Pillow; strengths of Hendrycks and Dietterich 2019 for CIFAR-10-C."""

import io

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from rnas.corruptions.registry import CORRUPTIONS

__all__ = ["jpeg", "pixelate"]


@CORRUPTIONS.register("jpeg", "JPEG", (80,), (65,), (58,), (50,), (40,))
def jpeg(images: Tensor, generator: torch.Generator, quality: float) -> Tensor:  # noqa: ARG001
    """Encode and decode at this quality, 1 to 95, after rounding to 256 levels.

    Images of three channels are coded as colours; with any other number each channel is coded on its own, in grey.
    """
    levels = (255 * images).round().to(torch.uint8)
    if images.shape[1] == 3:
        pictures = levels.permute(0, 2, 3, 1).numpy()
        decoded = torch.stack([_decoded(picture, quality) for picture in pictures]).permute(0, 3, 1, 2)
    else:
        decoded = torch.stack([_decoded(plane, quality) for plane in levels.flatten(0, 1).numpy()]).view_as(images)
    return decoded.float() / 255


@CORRUPTIONS.register("pixelate", "Pixelate", (0.95,), (0.9,), (0.85,), (0.75,), (0.65,))
def pixelate(images: Tensor, generator: torch.Generator, share: float) -> Tensor:  # noqa: ARG001
    """Shrink both sides to this share by averaging over boxes, then enlarge by repeating pixels."""
    height, width = images.shape[-2:]
    small = (max(1, int(width * share)), max(1, int(height * share)))
    planes = [
        np.asarray(
            Image.fromarray(plane).resize(small, Image.Resampling.BOX).resize((width, height), Image.Resampling.BOX)
        )
        for plane in images.flatten(0, 1).numpy()
    ]
    return torch.from_numpy(np.stack(planes)).view_as(images)


def _decoded(picture: NDArray[np.uint8], quality: float) -> Tensor:
    """A picture, (H, W) or (H, W, 3), after JPEG compression."""
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "JPEG", quality=int(quality))
    return torch.from_numpy(np.array(Image.open(buffer)))
