"""Attacks as cards: what each runs with, and how it runs. `suite` gives them their names.

Nothing here imports torch before an attack runs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rnas.evaluation.card import AttackCard, Norm, Settings, Strengths
from rnas.run.attack_results import OTHERS

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from rnas.attacks.guards import Model

__all__ = [
    "apgd_card",
    "autoattack_card",
    "pgd_card",
    "cw_card",
    "cw_search_card",
    "deepfool_card",
    "fgsm_card",
    "square_card",
]

AUTOATTACK_SOURCE = "Croce and Hein, ICML 2020"
AUTOATTACK_PASSES = {"standard": 8200, "plus": 10000, "rand": 4100}


def _radius(config: Strengths, norm: Norm) -> float:
    return float(config.eps if norm == "Linf" else config.eps_l2)


def fgsm_card() -> AttackCard:
    """One step of the gradient's signs."""

    def run(model: Model, images: Tensor, labels: Tensor, config: Strengths, seed: int) -> Tensor:  # noqa: ARG001
        from rnas.attacks import fgsm

        return fgsm(model, images, labels, eps=config.eps)

    return AttackCard(
        title="FGSM",
        source="Goodfellow et al., ICLR 2015",
        norm="Linf",
        settings=lambda config: {"norm": "Linf", "eps": float(config.eps)},
        run=run,
        ladder=("Linf", 0),
        order=1,
    )


def pgd_card(steps: int, restarts: int = 1, loss: str = "cross_entropy", *, transfers: bool = False) -> AttackCard:
    """PGD with these steps, restarts and loss; or such images made on the second model (`transfers`)."""

    def run(model: Model, images: Tensor, labels: Tensor, config: Strengths, seed: int) -> Tensor:
        import torch

        from rnas.attacks import pgd_linf

        return pgd_linf(
            model,
            images,
            labels,
            eps=config.eps,
            step_size=config.pgd_step,
            steps=steps,
            restarts=restarts,
            loss=loss,
            # On the CPU, so that the starts do not depend on the device.
            generator=torch.Generator().manual_seed(seed),
        )

    def settings(config: Strengths) -> Settings:
        found: Settings = {
            "norm": "Linf",
            "eps": float(config.eps),
            "step_size": config.pgd_step,
            "steps": steps,
        }
        if restarts > 1:
            found["restarts"] = restarts
        if loss != "cross_entropy":
            found["loss"] = loss
        return found

    extras = [f"{restarts} restarts"] * (restarts > 1) + [f"{loss} loss"] * (loss != "cross_entropy")
    title = ", ".join([f"PGD-{steps}", *extras])
    return AttackCard(
        title=f"Transfer of {title}" if transfers else title,
        source="Papernot et al., arXiv 1605.07277, 2016" if transfers else "Madry et al., ICLR 2018",
        norm="Linf",
        settings=settings,
        run=run,
        passes=lambda _: restarts * (steps + 1),
        transfers=transfers,
        black_box=transfers,
        thorough=steps >= 10 and not transfers,
        ladder=None if transfers else ("Linf", 0),
        order=OTHERS if transfers else 2,
    )


def cw_card() -> AttackCard:
    """C&W at one weight of the margin."""

    def run(model: Model, images: Tensor, labels: Tensor, config: Strengths, seed: int) -> Tensor:  # noqa: ARG001
        from rnas.attacks import carlini_wagner_l2

        return carlini_wagner_l2(
            model, images, labels, c=config.cw_c, steps=config.cw_steps, learning_rate=config.cw_learning_rate
        )

    return AttackCard(
        title="C&W",
        source="Carlini and Wagner, IEEE S&P 2017",
        norm=None,
        settings=lambda config: {
            "norm": "L2",
            "c": config.cw_c,
            "steps": config.cw_steps,
            "learning_rate": config.cw_learning_rate,
        },
        run=run,
        passes=lambda config: config.cw_steps,
        ladder=("C&W", 0),
        order=3,
    )


def cw_search_card() -> AttackCard:
    """C&W that searches the weight of the margin for each image."""

    def run(model: Model, images: Tensor, labels: Tensor, config: Strengths, seed: int) -> Tensor:  # noqa: ARG001
        from rnas.attacks import carlini_wagner_l2

        return carlini_wagner_l2(
            model,
            images,
            labels,
            c=0.01,
            steps=config.cw_search_steps,
            learning_rate=config.cw_learning_rate,
            binary_search_steps=9,
        )

    return AttackCard(
        title="C&W, search over c",
        source="Carlini and Wagner, IEEE S&P 2017",
        norm=None,
        settings=lambda config: {
            "norm": "L2",
            "first_c": 0.01,
            "binary_search_steps": 9,
            "steps": config.cw_search_steps,
            "learning_rate": config.cw_learning_rate,
        },
        run=run,
        passes=lambda config: 9 * config.cw_search_steps,
        ladder=("C&W", 1),
    )


def deepfool_card() -> AttackCard:
    """DeepFool as its paper sets it, with the most steps of its authors' code."""
    strength: dict[str, Any] = {"steps": 50, "overshoot": 0.02, "classes": 10}

    def run(model: Model, images: Tensor, labels: Tensor, config: Strengths, seed: int) -> Tensor:  # noqa: ARG001
        from rnas.attacks import deepfool

        return deepfool(model, images, labels, **strength)

    return AttackCard(
        title="DeepFool",
        source="Moosavi-Dezfooli et al., CVPR 2016",
        norm=None,
        settings=lambda _: {"norm": "L2", **strength},
        run=run,
        passes=lambda _: 52,
    )


def _query_dtype(config: Strengths) -> torch.dtype | None:
    import torch

    return torch.bfloat16 if config.query_precision == "bfloat16" else None


def _query_settings(config: Strengths) -> Settings:
    """Outcomes of another precision are others; those of float32 are called as before there was a choice."""
    return {} if config.query_precision == "float32" else {"query_precision": config.query_precision}


def square_card(norm: Norm) -> AttackCard:
    """Square in a norm."""

    def run(model: Model, images: Tensor, labels: Tensor, config: Strengths, seed: int) -> Tensor:
        from rnas.attacks import square

        eps = _radius(config, norm)
        dtype = _query_dtype(config)
        return square(
            model, images, labels, eps=eps, norm=norm, queries=config.square_queries, query_dtype=dtype, seed=seed
        )

    return AttackCard(
        title="Square" if norm == "Linf" else "Square, L2",
        source="Andriushchenko et al., ECCV 2020",
        norm=norm,
        settings=lambda config: {
            "norm": norm,
            "eps": _radius(config, norm),
            "queries": config.square_queries,
            **_query_settings(config),
        },
        run=run,
        passes=lambda config: config.square_queries,
        black_box=True,
    )


def apgd_card(norm: Norm) -> AttackCard:
    """The first two attacks of AutoAttack in a norm."""

    def run(model: Model, images: Tensor, labels: Tensor, config: Strengths, seed: int) -> Tensor:
        from rnas.attacks import apgd

        eps, size = _radius(config, norm), config.batch_size
        return apgd(model, images, labels, eps=eps, norm=norm, steps=config.apgd_steps, batch_size=size, seed=seed)

    return AttackCard(
        title="APGD-CE + APGD-T" if norm == "Linf" else "APGD-CE + APGD-T, L2",
        source=AUTOATTACK_SOURCE,
        norm=norm,
        settings=lambda config: {"norm": norm, "eps": _radius(config, norm), "steps": config.apgd_steps},
        run=run,
        passes=lambda config: 10 * config.apgd_steps,
        least_classes=4,
        batches=8,
        thorough=True,
        ladder=(norm, 0),
    )


def autoattack_card(version: str, norm: Norm) -> AttackCard:
    """A version of AutoAttack in a norm."""

    def run(model: Model, images: Tensor, labels: Tensor, config: Strengths, seed: int) -> Tensor:
        from rnas.attacks import auto_attack

        eps, dtype = _radius(config, norm), _query_dtype(config)
        return auto_attack(model, images, labels, eps=eps, norm=norm, version=version, query_dtype=dtype, seed=seed)

    shown = [part for part, usual in ((version, "standard"), (norm, "Linf")) if part != usual]
    return AttackCard(
        title=", ".join(["AutoAttack", *shown]),
        source=AUTOATTACK_SOURCE,
        norm=norm,
        settings=lambda config: {
            "norm": norm,
            "eps": _radius(config, norm),
            "version": version,
            **(_query_settings(config) if version != "rand" else {}),
        },
        run=run,
        passes=lambda _: AUTOATTACK_PASSES[version],
        least_classes=3 if version == "rand" else 4,
        budgeted=True,
        thorough=True,
        ladder=None if version == "rand" else (norm, 1),
        order=4 if (version, norm) == ("standard", "Linf") else OTHERS,
    )
