"""The attacks an evaluation can run, by name, as the paper sets them.

Nothing here imports torch before an attack runs, so that a configuration can check its attacks' names.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from rnas.config import MOST_STEPS
from rnas.errors import ConfigError, UnknownNameError
from rnas.evaluation.card import AttackCard
from rnas.evaluation.cards import (
    apgd_card,
    autoattack_card,
    cw_card,
    cw_search_card,
    deepfool_card,
    fgsm_card,
    pgd_card,
    square_card,
)
from rnas.evaluation.corrupting import CORRUPTIONS_SOURCE, corruption_cards
from rnas.registry import Registry
from rnas.terminal import shorten

if TYPE_CHECKING:
    from collections.abc import Iterable


__all__ = ["ATTACKS", "describe_attacks", "too_few_classes"]


class Suite(Registry[AttackCard]):
    """The attacks by name: all registered ones, and PGD of any strength.

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
        return pgd_card(int(steps), int(restarts), "margin" if variant[3] else "cross_entropy")


ATTACKS = Suite("attack", "rnas.evaluation.catalogue")

ATTACKS.register("fgsm")(fgsm_card())
ATTACKS.register("pgd20")(pgd_card(20))
ATTACKS.register("cw")(cw_card())
ATTACKS.register("cw_search")(cw_search_card())
ATTACKS.register("deepfool")(deepfool_card())
ATTACKS.register("square")(square_card("Linf"))
ATTACKS.register("square_l2")(square_card("L2"))
ATTACKS.register("apgd")(apgd_card("Linf"))
ATTACKS.register("apgd_l2")(apgd_card("L2"))
for _version in ("standard", "plus", "rand"):
    _name = "autoattack" if _version == "standard" else f"autoattack_{_version}"
    ATTACKS.register(_name)(autoattack_card(_version, "Linf"))
    ATTACKS.register(f"{_name}_l2")(autoattack_card(_version, "L2"))
ATTACKS.register("transfer")(pgd_card(20, transfers=True))
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
