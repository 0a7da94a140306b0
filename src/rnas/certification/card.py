"""The methods that prove robustness, by name. Nothing here imports torch before a method runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rnas.evaluation.card import Norm, Settings
from rnas.registry import Registry

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from rnas.certification.config import CertificationConfig

    #: (images (N, C, H, W) in [0, 1], labels (N,), generator) -> class that is said of each image, radius around it
    #: within which that class is proved to be said, both (N,). -1 is no class; the radius is 0 where nothing is proved.
    Prover = Callable[[Tensor, Tensor, torch.Generator], tuple[Tensor, Tensor]]

__all__ = ["CERTIFIERS", "CertifierCard", "describe_certifiers"]


@dataclass(frozen=True)
class CertifierCard:
    """What is known about one method.

    Args:
        title: its name in tables.
        source: where it comes from.
        norm: of the ball in which it proves.
        settings: what its certificates depend on, besides the model, the images, the batch size and the seed.
        prepare: gets ready for a model in evaluation mode, on the images' device, and images of a shape (C, H, W); it
            raises ModelError for a model that the method cannot take.
        certain: whether it is a proof; otherwise it holds with a probability for each image.
        smoothed: whether it takes smoothed models, and only those.
        at_once: how many images are proved before they are kept.
    """

    title: str
    source: str
    norm: Norm
    settings: Callable[[CertificationConfig], Settings]
    prepare: Callable[[nn.Module, tuple[int, int, int], CertificationConfig], Prover]
    certain: bool = True
    smoothed: bool = False
    at_once: Callable[[CertificationConfig], int] = lambda config: config.batch_size

    def eps(self, config: CertificationConfig) -> float:
        """Radius of the ball at which an accuracy is told."""
        return float(config.eps if self.norm == "Linf" else config.eps_l2)


CERTIFIERS: Registry[CertifierCard] = Registry("method of certification", "rnas.certification.catalogue")


def describe_certifiers() -> list[str]:
    """A line for each method: its name, its title, its ball, and its source."""
    width = max(map(len, CERTIFIERS))
    return [f"{name:{width}}  {card.title} ({card.norm}): {card.source}" for name, card in _cards()]


def _cards() -> list[tuple[str, CertifierCard]]:
    return [(name, CERTIFIERS[name]) for name in CERTIFIERS]
