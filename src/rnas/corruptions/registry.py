"""Corruptions: what one is, the names of all, and the one way to apply them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor

from rnas.config import require
from rnas.errors import DataError
from rnas.registry import Lookup

__all__ = ["CORRUPTIONS", "SEVERITIES", "Corruption", "corrupt", "length_scale"]

SEVERITIES = (1, 2, 3, 4, 5)

Rule = TypeVar("Rule", bound=Callable[..., Tensor])


@dataclass(frozen=True)
class Corruption:
    """A corruption at its five severities.

    Args:
        title: its name in tables.
        strengths: the parameters of its rule for each of the five severities.
        rule: (images (N, C, H, W) in [0, 1], float32 on the CPU, generator, *parameters) -> images, which may leave
            [0, 1]; they are clipped afterwards.
        revision: counts changes of the rule, so that outcomes of an older one are not continued.
    """

    title: str
    strengths: tuple[tuple[float, ...], ...]
    rule: Callable[..., Tensor]
    revision: int = 1

    def __post_init__(self) -> None:
        """Check that there are as many strengths as severities."""
        if len(self.strengths) != len(SEVERITIES):
            raise ValueError(f"{self.title}: expected {len(SEVERITIES)} strengths, got {len(self.strengths)}")


class Corruptions(Lookup[Corruption]):
    """The corruptions by name; a rule is decorated with what else is known of it."""

    def register(
        self, name: str, title: str, *strengths: tuple[float, ...], revision: int = 1
    ) -> Callable[[Rule], Rule]:
        """Decorate a rule to make it available as the corruption `name`; the arguments are those of `Corruption`."""

        def add(rule: Rule) -> Rule:
            self.add(name, Corruption(title, strengths, rule, revision), module=rule.__module__)
            return rule

        return add


CORRUPTIONS = Corruptions("corruption", "rnas.corruptions.catalogue")


def corrupt(images: Tensor, name: str, *, severity: int, seed: int = 0) -> Tensor:
    """Corrupt images.

    Args:
        images: (N, C, H, W), floating point in [0, 1], of any size.
        name: of the corruption, from `rnas.corruptions.CORRUPTIONS`.
        severity: 1 (mild) to 5.
        seed: of all randomness, in [0, 2^63); the same images, seed and severity give the same result on any device.
            The global generators are neither used nor changed.

    Returns:
        Images of the same shape, type and device, in [0, 1].

    Raises:
        UnknownNameError: if there is no such corruption.
        ConfigError: if the severity is not one of the five.
        DataError: if the images are malformed or outside [0, 1].
    """
    chosen = CORRUPTIONS[name]
    require(severity in SEVERITIES, "severity", "an integer from 1 to 5", severity)
    if images.dim() != 4 or not images.is_floating_point() or images.numel() == 0:
        raise DataError(f"expected floating-point images (N, C, H, W), got {images.dtype} {tuple(images.shape)}")
    lowest, highest = torch.stack(images.detach().aminmax()).tolist()
    # Written so that a NaN fails as well; rounding may leave the interval by a millionth.
    if not (lowest >= -1e-6 and highest <= 1 + 1e-6):
        raise DataError(f"expected finite images in [0, 1], got values from {lowest:.6g} to {highest:.6g}")
    generator = torch.Generator().manual_seed(seed)
    clean = images.detach().cpu().float().clamp(0, 1)
    corrupted = chosen.rule(clean, generator, *chosen.strengths[severity - 1])
    return corrupted.clamp(0, 1).to(images)


def length_scale(images: Tensor) -> float:
    """The factor for lengths in pixels that are given for images of 32 pixels: shorter side / 32, at least 1."""
    return max(1.0, min(images.shape[-2:]) / 32)
