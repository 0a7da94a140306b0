"""Noise for each image of a batch, also where the images are some rows of a batch that several processes share."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

__all__ = ["PartGenerator", "draw"]


class PartGenerator(torch.Generator):
    """A generator for some rows of a batch; `draw` gets for them what the whole batch would get there.

    Its state afterwards is that of one that drew for the whole batch, whichever the rows.
    """

    #: Which rows.
    rows: slice
    #: Images of the whole batch.
    total: int


def draw(
    sample: Callable[..., Tensor],
    shape: Sequence[int],
    generator: torch.Generator | None,
    *,
    device: torch.device,
    dtype: torch.dtype,
) -> Tensor:
    """Draw noise.

    Args:
        sample: torch.rand or torch.randn.
        shape: of the noise; the first dimension counts images.
        generator: its source, on any device; None takes the global one of `device`.
        device: where the noise is wanted.
        dtype: its type.

    Returns:
        Of that shape.

    Raises:
        ValueError: if the generator is for another number of images.
    """
    source = device if generator is None else generator.device
    if not isinstance(generator, PartGenerator):
        return sample(shape, generator=generator, device=source, dtype=dtype).to(device)
    whole = sample((generator.total, *shape[1:]), generator=generator, device=source, dtype=dtype)
    noise = whole[generator.rows].to(device)
    if len(noise) != shape[0]:
        raise ValueError(f"expected the {len(noise)} images that the generator is for, got {shape[0]}")
    return noise
