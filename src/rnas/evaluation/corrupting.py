"""Each common corruption at each severity as a member of the collection "corruptions"."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rnas.evaluation.card import AttackCard, Settings, Strengths

if TYPE_CHECKING:
    from torch import Tensor

    from rnas.attacks.guards import Model

__all__ = ["CORRUPTIONS_SOURCE", "corruption_cards"]

CORRUPTIONS_SOURCE = "Hendrycks and Dietterich, ICLR 2019"


def _corrupted(name: str, severity: int) -> AttackCard:
    from rnas.corruptions import CORRUPTIONS, corrupt

    def run(model: Model, images: Tensor, labels: Tensor, config: Strengths, seed: int) -> Tensor:  # noqa: ARG001
        return corrupt(images, name, severity=severity, seed=seed)

    corruption = CORRUPTIONS[name]
    settings: Settings = {"strength": " ".join(f"{value:g}" for value in corruption.strengths[severity - 1])}
    if corruption.revision > 1:
        settings["revision"] = corruption.revision
    return AttackCard(
        title=f"{corruption.title}, severity {severity}",
        source=CORRUPTIONS_SOURCE,
        norm=None,
        settings=lambda _: settings,
        run=run,
        batches=16,
        every_image=True,
    )


def corruption_cards() -> dict[str, AttackCard]:
    """Every corruption at every severity, by names such as "fog/1"."""
    from rnas.corruptions import CORRUPTIONS, SEVERITIES

    return {f"{name}/{severity}": _corrupted(name, severity) for name in CORRUPTIONS for severity in SEVERITIES}
