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
    from rnas.config import Distance
    from rnas.evaluation.config import EvaluationConfig

    Rule = Callable[[Model, Tensor, Tensor, EvaluationConfig, int], Tensor]

__all__ = ["ATTACKS", "AttackCard", "Settings"]

Settings = dict[str, str | int | float]
Norm = Literal["Linf", "L2"]
AUTOATTACK_SOURCE = "Croce and Hein, ICML 2020"
CORRUPTIONS_SOURCE = "Hendrycks and Dietterich, ICLR 2019"


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
    least_classes: int = 2
    batches: int = 1
    every_image: bool = False
    transfers: bool = False
    parts: Callable[[], dict[str, AttackCard]] | None = None

    def eps(self, config: EvaluationConfig) -> Distance | None:
        """Radius of the ball that its perturbations stay in."""
        return {"Linf": config.eps, "L2": config.eps_l2, None: None}[self.norm]


ATTACKS = Registry[AttackCard]("attack")


def _radius(config: EvaluationConfig, norm: Norm) -> float:
    return float(config.eps if norm == "Linf" else config.eps_l2)


def _fgsm(model: Model, images: Tensor, labels: Tensor, config: EvaluationConfig, seed: int) -> Tensor:  # noqa: ARG001
    from rnas.attacks import fgsm

    return fgsm(model, images, labels, eps=config.eps)


def _pgd20(model: Model, images: Tensor, labels: Tensor, config: EvaluationConfig, seed: int) -> Tensor:
    import torch

    from rnas.attacks import pgd_linf

    # On the CPU, so that the starts do not depend on the device.
    generator = torch.Generator().manual_seed(seed)
    return pgd_linf(model, images, labels, eps=config.eps, step_size=config.step_size, steps=20, generator=generator)


def _pgd20_settings(config: EvaluationConfig) -> Settings:
    return {"norm": "Linf", "eps": float(config.eps), "step_size": float(config.step_size), "steps": 20}


def _cw(model: Model, images: Tensor, labels: Tensor, config: EvaluationConfig, seed: int) -> Tensor:  # noqa: ARG001
    from rnas.attacks import carlini_wagner_l2

    return carlini_wagner_l2(model, images, labels, c=0.5, steps=100, learning_rate=0.01)


def _cw_search(model: Model, images: Tensor, labels: Tensor, config: EvaluationConfig, seed: int) -> Tensor:  # noqa: ARG001
    from rnas.attacks import carlini_wagner_l2

    return carlini_wagner_l2(
        model, images, labels, c=0.01, steps=config.cw_steps, learning_rate=0.01, binary_search_steps=9
    )


def _square(norm: Norm) -> AttackCard:
    def run(model: Model, images: Tensor, labels: Tensor, config: EvaluationConfig, seed: int) -> Tensor:
        from rnas.attacks import square

        eps = _radius(config, norm)
        return square(model, images, labels, eps=eps, norm=norm, queries=config.square_queries, seed=seed)

    return AttackCard(
        title="Square" if norm == "Linf" else "Square, L2",
        source="Andriushchenko et al., ECCV 2020",
        norm=norm,
        settings=lambda config: {"norm": norm, "eps": _radius(config, norm), "queries": config.square_queries},
        run=run,
    )


def _apgd(norm: Norm) -> AttackCard:
    def run(model: Model, images: Tensor, labels: Tensor, config: EvaluationConfig, seed: int) -> Tensor:
        from rnas.attacks import apgd

        eps, size = _radius(config, norm), config.batch_size
        return apgd(model, images, labels, eps=eps, norm=norm, steps=config.apgd_steps, batch_size=size, seed=seed)

    return AttackCard(
        title="APGD-CE + APGD-T" if norm == "Linf" else "APGD-CE + APGD-T, L2",
        source=AUTOATTACK_SOURCE,
        norm=norm,
        settings=lambda config: {"norm": norm, "eps": _radius(config, norm), "steps": config.apgd_steps},
        run=run,
        least_classes=4,
        batches=8,
    )


def _autoattack(version: str, norm: Norm) -> AttackCard:
    def run(model: Model, images: Tensor, labels: Tensor, config: EvaluationConfig, seed: int) -> Tensor:
        from rnas.attacks import auto_attack

        return auto_attack(model, images, labels, eps=_radius(config, norm), norm=norm, version=version, seed=seed)

    shown = [part for part, usual in ((version, "standard"), (norm, "Linf")) if part != usual]
    return AttackCard(
        title=", ".join(["AutoAttack", *shown]),
        source=AUTOATTACK_SOURCE,
        norm=norm,
        settings=lambda config: {"norm": norm, "eps": _radius(config, norm), "version": version},
        run=run,
        least_classes=3 if version == "rand" else 4,
    )


def _corrupted(name: str, severity: int) -> AttackCard:
    from rnas.corruptions import CORRUPTIONS, corrupt

    def run(model: Model, images: Tensor, labels: Tensor, config: EvaluationConfig, seed: int) -> Tensor:  # noqa: ARG001
        return corrupt(images, name, severity=severity, seed=seed)

    strength = " ".join(f"{value:g}" for value in CORRUPTIONS[name].strengths[severity - 1])
    return AttackCard(
        title=f"{CORRUPTIONS[name].title}, severity {severity}",
        source=CORRUPTIONS_SOURCE,
        norm=None,
        settings=lambda _: {"strength": strength},
        run=run,
        batches=16,
        every_image=True,
    )


def _all_corrupted() -> dict[str, AttackCard]:
    from rnas.corruptions import CORRUPTIONS, SEVERITIES

    return {f"{name}/{severity}": _corrupted(name, severity) for name in CORRUPTIONS for severity in SEVERITIES}


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
    AttackCard(title="PGD-20", source="Madry et al., ICLR 2018", norm="Linf", settings=_pgd20_settings, run=_pgd20)
)
ATTACKS.register("cw")(
    AttackCard(
        title="C&W",
        source="Carlini and Wagner, IEEE S&P 2017",
        norm=None,
        settings=lambda _: {"norm": "L2", "c": 0.5, "steps": 100, "learning_rate": 0.01},
        run=_cw,
    )
)
ATTACKS.register("cw_search")(
    AttackCard(
        title="C&W, search over c",
        source="Carlini and Wagner, IEEE S&P 2017",
        norm=None,
        settings=lambda config: {
            "norm": "L2",
            "first_c": 0.01,
            "binary_search_steps": 9,
            "steps": config.cw_steps,
            "learning_rate": 0.01,
        },
        run=_cw_search,
    )
)
ATTACKS.register("square")(_square("Linf"))
ATTACKS.register("square_l2")(_square("L2"))
ATTACKS.register("apgd")(_apgd("Linf"))
ATTACKS.register("apgd_l2")(_apgd("L2"))
for _version in ("standard", "plus", "rand"):
    _name = "autoattack" if _version == "standard" else f"autoattack_{_version}"
    ATTACKS.register(_name)(_autoattack(_version, "Linf"))
    ATTACKS.register(f"{_name}_l2")(_autoattack(_version, "L2"))
ATTACKS.register("transfer")(
    AttackCard(
        title="Transfer of PGD-20",
        source="Papernot et al., arXiv 1605.07277, 2016",
        norm="Linf",
        settings=_pgd20_settings,
        run=_pgd20,
        transfers=True,
    )
)
ATTACKS.register("corruptions")(
    AttackCard(
        title="Common corruptions",
        source=CORRUPTIONS_SOURCE,
        norm=None,
        settings=lambda _: {"severities": "1 to 5"},
        parts=_all_corrupted,
    )
)
