"""The attacks an evaluation can run, by name, as the paper sets them.

Nothing here imports torch before an attack runs, so that a configuration can check its attacks' names.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from rnas.config import MOST_STEPS
from rnas.errors import ConfigError, UnknownNameError
from rnas.evaluation.card import AttackCard, Norm, Settings
from rnas.evaluation.corrupting import CORRUPTIONS_SOURCE, corruption_cards
from rnas.registry import Registry
from rnas.terminal import shorten

if TYPE_CHECKING:
    from collections.abc import Iterable

    import torch
    from torch import Tensor

    from rnas.attacks.guards import Model
    from rnas.evaluation.config import EvaluationConfig

__all__ = ["ATTACKS", "describe_attacks", "too_few_classes"]

AUTOATTACK_SOURCE = "Croce and Hein, ICML 2020"
AUTOATTACK_PASSES = {"standard": 8200, "plus": 10000, "rand": 4100}


class Suite(Registry[AttackCard]):
    """The attacks by name: those that are registered, and PGD of any strength.

    "pgd100x10_margin" is PGD with 100 steps and 10 restarts on the margin loss; restarts and loss may be left out. As
    the strength is in the name and no setting, the outcomes of several are kept side by side.
    """

    def __getitem__(self, name: str) -> AttackCard:
        variant = (
            None if name in self else re.fullmatch(r"pgd([1-9]\d*)(?:x([2-9]|[1-9]\d+))?(_margin)?", name, re.ASCII)
        )
        if variant is None:
            try:
                return super().__getitem__(name)
            except UnknownNameError as error:
                hint = "; PGD is written pgdN, pgdNxR or pgdNxR_margin with N steps and R > 1 restarts"
                raise UnknownNameError(f"{error}{hint if name.startswith('pgd') else ''}") from error
        steps, restarts = variant[1], variant[2] or "1"
        # By their length first: Python reads no integer of thousands of digits.
        if max(len(steps), len(restarts)) > 9 or int(steps) * int(restarts) > MOST_STEPS:
            raise ConfigError(f"{shorten(name)!r}: expected at most {MOST_STEPS} steps of PGD, all restarts together")
        return _pgd(int(steps), int(restarts), "margin" if variant[3] else "cross_entropy")


ATTACKS = Suite("attack", "rnas.evaluation.catalogue")


def _radius(config: EvaluationConfig, norm: Norm) -> float:
    return float(config.eps if norm == "Linf" else config.eps_l2)


def _fgsm(model: Model, images: Tensor, labels: Tensor, config: EvaluationConfig, seed: int) -> Tensor:  # noqa: ARG001
    from rnas.attacks import fgsm

    return fgsm(model, images, labels, eps=config.eps)


def _pgd(steps: int, restarts: int = 1, loss: str = "cross_entropy", *, transfers: bool = False) -> AttackCard:
    def run(model: Model, images: Tensor, labels: Tensor, config: EvaluationConfig, seed: int) -> Tensor:
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

    def settings(config: EvaluationConfig) -> Settings:
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
    )


def _cw(model: Model, images: Tensor, labels: Tensor, config: EvaluationConfig, seed: int) -> Tensor:  # noqa: ARG001
    from rnas.attacks import carlini_wagner_l2

    return carlini_wagner_l2(
        model, images, labels, c=config.cw_c, steps=config.cw_steps, learning_rate=config.cw_learning_rate
    )


def _cw_search(model: Model, images: Tensor, labels: Tensor, config: EvaluationConfig, seed: int) -> Tensor:  # noqa: ARG001
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


def _query_dtype(config: EvaluationConfig) -> torch.dtype | None:
    import torch

    return torch.bfloat16 if config.query_precision == "bfloat16" else None


def _query_settings(config: EvaluationConfig) -> Settings:
    """Outcomes of another precision are others; those of float32 are called as before there was a choice."""
    return {} if config.query_precision == "float32" else {"query_precision": config.query_precision}


def _square(norm: Norm) -> AttackCard:
    def run(model: Model, images: Tensor, labels: Tensor, config: EvaluationConfig, seed: int) -> Tensor:
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
        passes=lambda config: 10 * config.apgd_steps,
        least_classes=4,
        batches=8,
    )


def _autoattack(version: str, norm: Norm) -> AttackCard:
    def run(model: Model, images: Tensor, labels: Tensor, config: EvaluationConfig, seed: int) -> Tensor:
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
    )


ATTACKS.register("fgsm")(
    AttackCard(
        title="FGSM",
        source="Goodfellow et al., ICLR 2015",
        norm="Linf",
        settings=lambda config: {"norm": "Linf", "eps": float(config.eps)},
        run=_fgsm,
    )
)
ATTACKS.register("pgd20")(_pgd(20))
ATTACKS.register("cw")(
    AttackCard(
        title="C&W",
        source="Carlini and Wagner, IEEE S&P 2017",
        norm=None,
        settings=lambda config: {
            "norm": "L2",
            "c": config.cw_c,
            "steps": config.cw_steps,
            "learning_rate": config.cw_learning_rate,
        },
        run=_cw,
        passes=lambda config: config.cw_steps,
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
            "steps": config.cw_search_steps,
            "learning_rate": config.cw_learning_rate,
        },
        run=_cw_search,
        passes=lambda config: 9 * config.cw_search_steps,
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
ATTACKS.register("transfer")(_pgd(20, transfers=True))
ATTACKS.register("corruptions")(
    AttackCard(
        title="Common corruptions",
        source=CORRUPTIONS_SOURCE,
        norm=None,
        settings=lambda _: {"severities": "1 to 5"},
        parts=corruption_cards,
    )
)


def too_few_classes(attacks: Iterable[str], classes: int, whose: str) -> str | None:
    """Why some attacks cannot work with so many classes, in one line; None if all can.

    Args:
        attacks: by name.
        classes: how many there are.
        whose: they are, in words.
    """
    unable = [ATTACKS[name] for name in attacks if ATTACKS[name].least_classes > classes]
    if not unable:
        return None
    return f"{unable[0].title} needs at least {unable[0].least_classes} classes, {whose} has {classes}"


def describe_attacks() -> list[str]:
    """A line for each attack: its name, its title, what bounds it, and its source."""
    bounds = {"Linf": "within eps", "L2": "within eps_l2", None: "no bound"}
    lines = {name: f"{ATTACKS[name].title} ({bounds[ATTACKS[name].norm]}): {ATTACKS[name].source}" for name in ATTACKS}
    lines["pgdNxR_margin"] = "PGD with N steps, R restarts and the margin loss; xR and _margin may be left out"
    width = max(map(len, lines))
    return [f"{name:{width}}  {words}" for name, words in lines.items()]
