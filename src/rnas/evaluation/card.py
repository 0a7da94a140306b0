"""The card of an attack: all that an evaluation knows about it. Nothing here imports torch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

from rnas.run.attack_results import OTHERS

if TYPE_CHECKING:
    from torch import Tensor

    from rnas.attacks.guards import Model
    from rnas.config import Distance

    Rule = Callable[[Model, Tensor, Tensor, "Strengths", int], Tensor]

__all__ = ["AttackCard", "Norm", "Settings", "Strengths"]

Settings = dict[str, str | int | float]
Norm = Literal["Linf", "L2"]


class Strengths(Protocol):
    """How strong attacks are: what cards read of an `EvaluationConfig`, which says what each means."""

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
        budgeted: whether it takes so long that `autoattack_images` bounds its images too.
        black_box: whether it never asks for the evaluated model's gradients.
        thorough: whether it follows gradients for so many steps that no black box should break what it does not.
        ladder: the name of a ladder of attacks and its rung on it: whoever stands higher must break as many images.
        order: where its column stands in tables, mildest first; those of one order stand as they were run.
        parts: for a collection, its members by name; they run in its place, and its accuracy is the mean of theirs.
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
    budgeted: bool = False
    black_box: bool = False
    thorough: bool = False
    ladder: tuple[str, int] | None = None
    order: int = OTHERS
    parts: Callable[[], dict[str, AttackCard]] | None = None

    def eps(self, config: Strengths) -> Distance | None:
        """Radius of the ball that its perturbations stay in."""
        return {"Linf": config.eps, "L2": config.eps_l2, None: None}[self.norm]

    def members(self, name: str) -> dict[str, AttackCard]:
        """Its members by the names of their outcomes: the attack itself, or "NAME/PART" for each part."""
        return {name: self} if self.parts is None else {f"{name}/{part}": card for part, card in self.parts().items()}
