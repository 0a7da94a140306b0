"""The attacks an evaluation can run, by name, as the paper sets them.

Nothing here imports torch before an attack runs, so that a configuration can check its attacks' names.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from rnas.registry import Registry

if TYPE_CHECKING:
    from torch import Tensor

    from rnas.attacks.guards import Model
    from rnas.evaluation.config import EvaluationConfig

    Rule = Callable[[Model, Tensor, Tensor, EvaluationConfig, int], Tensor]

__all__ = ["ATTACKS", "AttackCard", "Settings"]

Settings = dict[str, str | int | float]


@dataclass(frozen=True)
class AttackCard:
    """What an evaluation knows about one attack.

    Args:
        title: its name in tables.
        source: where it comes from.
        norm: of the perturbation that it bounds by eps ("Linf") or keeps small without a bound ("L2").
        settings: what its outcomes depend on, besides the model, the images, the batch size and the seed.
        run: (model, images (N, C, H, W) in [0, 1], labels (N,), configuration, seed) -> adversarial images.
        least_classes: fewest classes it can work with.
    """

    title: str
    source: str
    norm: Literal["Linf", "L2"]
    settings: Callable[[EvaluationConfig], Settings]
    run: Rule
    least_classes: int = 2


ATTACKS = Registry[AttackCard]("attack")


def _fgsm(model: Model, images: Tensor, labels: Tensor, config: EvaluationConfig, seed: int) -> Tensor:  # noqa: ARG001
    from rnas.attacks import fgsm

    return fgsm(model, images, labels, eps=config.eps)


def _pgd20(model: Model, images: Tensor, labels: Tensor, config: EvaluationConfig, seed: int) -> Tensor:
    import torch

    from rnas.attacks import pgd_linf

    # On the CPU, so that the starts do not depend on the device.
    generator = torch.Generator().manual_seed(seed)
    return pgd_linf(model, images, labels, eps=config.eps, step_size=config.step_size, steps=20, generator=generator)


def _cw(model: Model, images: Tensor, labels: Tensor, config: EvaluationConfig, seed: int) -> Tensor:  # noqa: ARG001
    from rnas.attacks import carlini_wagner_l2

    return carlini_wagner_l2(model, images, labels, c=0.5, steps=100, learning_rate=0.01)


def _autoattack(model: Model, images: Tensor, labels: Tensor, config: EvaluationConfig, seed: int) -> Tensor:
    from rnas.attacks import auto_attack

    return auto_attack(model, images, labels, eps=config.eps, norm="Linf", version="standard", seed=seed)


ATTACKS.register("fgsm")(
    AttackCard(
        title="FGSM",
        source="Goodfellow et al., ICLR 2015",
        norm="Linf",
        settings=lambda config: {"norm": "Linf", "eps": float(config.eps)},
        run=_fgsm,
    )
)
ATTACKS.register("pgd20")(
    AttackCard(
        title="PGD-20",
        source="Madry et al., ICLR 2018",
        norm="Linf",
        settings=lambda config: {
            "norm": "Linf",
            "eps": float(config.eps),
            "step_size": float(config.step_size),
            "steps": 20,
        },
        run=_pgd20,
    )
)
ATTACKS.register("cw")(
    AttackCard(
        title="C&W",
        source="Carlini and Wagner, IEEE S&P 2017",
        norm="L2",
        settings=lambda _: {"norm": "L2", "c": 0.5, "steps": 100, "learning_rate": 0.01},
        run=_cw,
    )
)
ATTACKS.register("autoattack")(
    AttackCard(
        title="AutoAttack",
        source="Croce and Hein, ICML 2020",
        norm="Linf",
        settings=lambda config: {"norm": "Linf", "eps": float(config.eps), "version": "standard"},
        run=_autoattack,
        least_classes=4,
    )
)
