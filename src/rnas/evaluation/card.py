"""What an evaluation knows about an attack. Nothing here imports torch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from torch import Tensor

    from rnas.attacks.guards import Model
    from rnas.config import Distance
    from rnas.evaluation.config import EvaluationConfig

    Rule = Callable[[Model, Tensor, Tensor, EvaluationConfig, int], Tensor]

__all__ = ["AttackCard", "Norm", "Settings"]

Settings = dict[str, str | int | float]
Norm = Literal["Linf", "L2"]


@dataclass(frozen=True)
class AttackCard:
    """What an evaluation knows about one attack.

    Args:
        title: its name in tables.
        source: where it comes from.
        norm: of the perturbation that eps ("Linf") or eps_l2 ("L2") bounds; None if nothing does.
        settings: what its outcomes depend on, besides the model, the images, the batch size and the seed.
        run: (model, images (N, C, H, W) in [0, 1], labels (N,), configuration, seed) -> adversarial images; None for a
            collection.
        passes: most passes of the model that a batch takes, about; progress is told by them.
        least_classes: fewest classes it can work with.
        batches: how many batches it takes at once, to fill up its own.
        every_image: whether it counts images that are misclassified without it by what happens under it, as benchmarks
            of corruptions do; otherwise they are not attacked and count as broken.
        transfers: whether it attacks the second model; its images are then judged on the evaluated one.
        parts: for a collection, its members by name; they run in its place, and its accuracy is the mean of theirs.
    """

    title: str
    source: str
    norm: Norm | None
    settings: Callable[[EvaluationConfig], Settings]
    run: Rule | None = None
    passes: Callable[[EvaluationConfig], int] = lambda _: 1
    least_classes: int = 2
    batches: int = 1
    every_image: bool = False
    transfers: bool = False
    parts: Callable[[], dict[str, AttackCard]] | None = None

    def eps(self, config: EvaluationConfig) -> Distance | None:
        """Radius of the ball that its perturbations stay in."""
        return {"Linf": config.eps, "L2": config.eps_l2, None: None}[self.norm]

    def members(self, name: str) -> dict[str, AttackCard]:
        """What runs under its name, by the name that outcomes are kept under: itself, or "NAME/PART" for each part."""
        return {name: self} if self.parts is None else {f"{name}/{part}": card for part, card in self.parts().items()}
