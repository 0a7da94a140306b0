"""Do the outcomes of the attacks fit each other? Checks on all images, from what `outcomes.parquet` holds.

A stronger attack must break at least as many images as a weaker one, and one that only asks for logits must not find
what gradients do not (Athalye et al. 2018, section 3.1; Carlini et al. 2019, sections 3 and 5; see
`rnas.evaluation.sanity`, which checks the model before it is attacked).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import reduce

import numpy as np
from numpy.typing import NDArray

from rnas.evaluation.card import CLEAN
from rnas.evaluation.outcomes import Outcomes
from rnas.evaluation.suite import ATTACKS
from rnas.run.attack_results import Check

__all__ = ["compare"]

MOST_DENIED = 0.005
"""Share of outcomes for which a model may deny what attacks achieved on the view of it that they see."""

MOST_MISSED = 0.02
"""Share of images that a black-box attack may break beyond all that gradients break; one image always may."""


def compare(outcomes: Outcomes, remarks: Mapping[str, Sequence[str]] | None = None) -> tuple[Check, ...]:
    """Check what attacks made of all images; images outside [0, 1] or the ball were refused before.

    Args:
        outcomes: of the clean images and of the attacks that were run.
        remarks: what an attack's own code said of the model, by the attack's name.

    Returns:
        The verdicts; those that need an attack which was not run are left out.
    """
    names = [name for name in dict.fromkeys(outcomes.attack.tolist()) if name != CLEAN and "/" not in name]
    checks = []
    tried = (outcomes.attack != CLEAN) & (outcomes.clean_prediction == outcomes.label)
    if attacked := int(tried.sum()):
        denied = int(outcomes.denied.sum())
        finding = f"for {denied} of {attacked} outcomes the model denied a success on its view; it was attacked again"
        checks.append(Check("view", denied <= MOST_DENIED * attacked, finding))
    bounded = [name for name in names if ATTACKS[name].norm == "Linf"]
    if bounded:
        largest = float(outcomes.of(*bounded).linf.max())
        finding = f"the largest change of a pixel is {largest:.6g}, all images are in [0, 1]"
        checks.append(Check("bounds", True, finding))
    checks += _stronger(outcomes, names) + _black_box(outcomes, names)
    checks += [
        Check("remarks", False, f"{ATTACKS[name].title}: {remark}")
        for name, said in (remarks or {}).items()
        for remark in said
    ]
    return tuple(checks)


def _stronger(outcomes: Outcomes, names: Sequence[str]) -> list[Check]:
    checks = []
    for better in names:
        for name in [name for name in names if better in ATTACKS[name].surpassed_by]:
            images, (first, second) = _broken(outcomes, [name, better])
            if len(images):
                finding = (
                    f"of the same {len(images)} images {ATTACKS[name].title} breaks {int(first.sum())}, "
                    f"{ATTACKS[better].title} {int(second.sum())}"
                )
                checks.append(Check("stronger", bool(first.sum() <= second.sum()), finding))
    return checks


def _black_box(outcomes: Outcomes, names: Sequence[str]) -> list[Check]:
    checks = []
    for norm in ("Linf", "L2"):
        within = [name for name in names if ATTACKS[name].norm == norm]
        without = [name for name in within if ATTACKS[name].black_box]
        using = [name for name in within if ATTACKS[name].thorough]
        images, broken = _broken(outcomes, without + using) if without and using else (np.array([]), [])
        if len(images):
            missed = int((np.any(broken[: len(without)], axis=0) & ~np.any(broken[len(without) :], axis=0)).sum())
            passed = missed <= max(1, MOST_MISSED * len(images))
            titles, others = (" and ".join(ATTACKS[name].title for name in some) for some in (without, using))
            hint = "" if passed else ": gradients are masked"
            finding = f"{missed} of {len(images)} images are broken by {titles} and not by {others}{hint}"
            checks.append(Check("black_box", passed, finding))
    return checks


def _broken(outcomes: Outcomes, names: Sequence[str]) -> tuple[NDArray[np.int64], list[NDArray[np.bool_]]]:
    """The images that all of some attacks saw, in order, and for each attack which of them it broke."""
    rows = [outcomes.of(name) for name in names]
    images = reduce(np.intersect1d, [row.image for row in rows])
    return images, [row.on(images).broken for row in rows]
