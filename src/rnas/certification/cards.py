"""The methods as cards: bounds that hold in a whole ball, and what a smoothed model's votes say."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from rnas.certification.card import CERTIFIERS, CertifierCard
from rnas.errors import ModelError
from rnas.evaluation.card import Settings

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from rnas.certification.card import Prover
    from rnas.certification.config import CertificationConfig

__all__ = ["bounds_card", "smoothing_card"]


def bounds_card(rule: str, title: str, source: str) -> CertifierCard:
    """Lower bounds of margins in an L-infinity ball, and the largest ball in which they are above 0.

    Args:
        rule: the function of `rnas.certification.program` that bounds the margins.
        title: its name in tables.
        source: where it comes from.
    """

    def prepare(model: nn.Module, shape: tuple[int, int, int], config: CertificationConfig) -> Prover:
        from rnas.certification import program
        from rnas.certification.radii import certified_radii
        from rnas.certification.smoothing import SmoothedModel

        if isinstance(model, SmoothedModel):
            raise ModelError(f"{title}: a smoothed model has noise, which no bound covers; choose the method smoothing")
        traced, margins = program.trace(model, shape), getattr(program, rule)

        def bound(images: Tensor, labels: Tensor) -> Callable[[Tensor], Tensor]:
            return partial(margins, traced, images, labels, tape=traced.tape(images))

        return partial(certified_radii, model, bound, eps=float(config.eps), halvings=config.halvings)

    def settings(config: CertificationConfig) -> Settings:
        return {"norm": "Linf", "eps": float(config.eps), "halvings": config.halvings}

    return CertifierCard(title=title, source=source, norm="Linf", settings=settings, prepare=prepare)


def smoothing_card() -> CertifierCard:
    """Votes of a smoothed model, and how far they can be moved."""

    def prepare(model: nn.Module, shape: tuple[int, int, int], config: CertificationConfig) -> Prover:  # noqa: ARG001
        from rnas.certification import smoothing

        if not isinstance(model, smoothing.SmoothedModel):
            raise ModelError("smoothing certifies the votes of a smoothed model: name it smoothed:SIGMA:MODEL")
        base, sigma = model.base, model.sigma

        def prove(images: Tensor, labels: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:  # noqa: ARG001
            return smoothing.certify(
                base,
                images,
                sigma=sigma,
                n0=config.n0,
                n=config.n,
                alpha=config.alpha,
                batch_size=config.batch_size,
                generator=generator,
            )

        return prove

    def settings(config: CertificationConfig) -> Settings:
        return {"norm": "L2", "n0": config.n0, "n": config.n, "alpha": config.alpha}

    return CertifierCard(
        title="Smoothing",
        source="Cohen, Rosenfeld and Kolter, ICML 2019",
        norm="L2",
        settings=settings,
        prepare=prepare,
        certain=False,
        smoothed=True,
        # One image has as many passes as a batch elsewhere, and more.
        at_once=lambda config: max(1, config.batch_size // config.n),
    )


CERTIFIERS.register("interval")(bounds_card("interval_margins", "Intervals", "Gowal et al., arXiv 1810.12715"))
CERTIFIERS.register("crown_ibp")(bounds_card("crown_ibp_margins", "CROWN-IBP", "Zhang et al., ICLR 2020"))
CERTIFIERS.register("crown")(bounds_card("crown_margins", "CROWN", "Zhang et al., NeurIPS 2018"))
CERTIFIERS.register("smoothing")(smoothing_card())
