"""What an evaluation knows about an attack. Nothing here imports torch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Any, Literal, Protocol

if TYPE_CHECKING:
    from torch import Tensor

    from rnas.attacks.guards import Model
    from rnas.config import Distance

    # The configuration is an EvaluationConfig, which checks names of attacks and is no name to use here.
    Rule = Callable[[Model, Tensor, Tensor, Any, int], Tensor]

__all__ = ["CLEAN", "AttackCard", "Norm", "Place", "Settings", "Strengths"]

Settings = dict[str, str | int | float]
Norm = Literal["Linf", "L2"]

CLEAN = "clean"
"""What the outcomes without an attack are called."""


class Place(IntEnum):
    """Where a table has its columns, mildest first as the paper; those of one place stand as they were run."""

    CLEAN = 0
    FGSM = 10
    PGD = 20
    CW = 30
    AUTOATTACK = 40
    OTHERS = 50
    WORST_CASE = 60
    WORST_CASE_L2 = 61


class Strengths(Protocol):
    """What attacks read of a configuration; `rnas.evaluation.config.EvaluationConfig` says what it means."""

    @property
    def eps(self) -> Distance: ...
    @property
    def eps_l2(self) -> Distance: ...
    @property
    def pgd_step(self) -> float: ...
    @property
    def cw_c(self) -> float: ...
    @property
    def cw_steps(self) -> int: ...
    @property
    def cw_search_steps(self) -> int: ...
    @property
    def cw_learning_rate(self) -> float: ...
    @property
    def square_queries(self) -> int: ...
    @property
    def query_precision(self) -> str: ...
    @property
    def apgd_steps(self) -> int: ...
    @property
    def batch_size(self) -> int: ...


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
        place: where its column stands in tables.
        budgeted: whether it is so expensive that the setting autoattack_images limits it.
        black_box: whether it does without the gradients of the evaluated model.
        thorough: whether it follows gradients so far that a black box should find nothing more within the same norm.
        surpassed_by: names of the attacks that break at least as many images, or something is wrong.
    """

    title: str
    source: str
    norm: Norm | None
    settings: Callable[[Strengths], Settings]
    run: Rule | None = None
    passes: Callable[[Strengths], int] = lambda _: 1
    least_classes: int = 2
    batches: int = 1
    every_image: bool = False
    transfers: bool = False
    parts: Callable[[], dict[str, AttackCard]] | None = None
    place: int = Place.OTHERS
    budgeted: bool = False
    black_box: bool = False
    thorough: bool = False
    surpassed_by: tuple[str, ...] = ()

    def eps(self, config: Strengths) -> Distance | None:
        """Radius of the ball that its perturbations stay in."""
        return {"Linf": config.eps, "L2": config.eps_l2, None: None}[self.norm]

    def members(self, name: str) -> dict[str, AttackCard]:
        """What runs under its name, by the name that outcomes are kept under: itself, or "NAME/PART" for each part."""
        return {name: self} if self.parts is None else {f"{name}/{part}": card for part, card in self.parts().items()}
