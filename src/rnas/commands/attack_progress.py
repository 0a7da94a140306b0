"""Progress of an evaluation in passes of the model: FGSM makes one for a batch, AutoAttack thousands."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from torch import nn

from rnas.evaluation.config import EvaluationConfig
from rnas.evaluation.suite import ATTACKS
from rnas.progress import reporting

__all__ = ["attack_progress"]

CLEAN, CHECKS = "Clean", "sanity checks"
CHECKS_PASSES = 130
INTERVAL = 0.5
"""Seconds between two updates within a batch."""


def planned_passes(settings: EvaluationConfig, images: int) -> dict[str, int]:
    """Most passes that each attack makes, by its title, in the order in which they run.

    Args:
        settings: the attacks.
        images: of the test set.
    """
    planned = {CLEAN: -(-settings.images_for("clean", images) // settings.batch_size)}
    if settings.attacks:
        planned[CHECKS] = CHECKS_PASSES
    for name in settings.attacks:
        card, attacked = ATTACKS[name], settings.images_for(name, images)
        planned[card.title] = sum(
            -(-attacked // (settings.batch_size * member.batches)) * member.passes(settings)
            for member in card.members(name).values()
        )
    return planned


@contextmanager
def attack_progress(
    name: str, network: nn.Module, settings: EvaluationConfig, images: int
) -> Iterator[Callable[..., None]]:
    """Show how far an evaluation is.

    Args:
        name: of the model.
        network: the model; its passes are counted, and those of its copies.
        settings: the attacks.
        images: of the test set.

    Returns:
        What `rnas.evaluation.evaluate` takes as `progress`.
    """
    planned = planned_passes(settings, images)
    left = {key: float(passes) for key, passes in planned.items()}
    shown: dict[str, float | str] = {}
    since, told, updated = 0, 0, time.monotonic()
    with reporting(f"attacking {name}", sum(planned.values()), unit="passes") as reporter:

        def update() -> None:
            nonlocal told
            now, current = next(((title, passes) for title, passes in left.items() if passes), ("", 0.0))
            # Passes that belong to no attack, such as those that check the model, are no reason to go back.
            told = max(told, round(sum(planned.values()) - sum(left.values()) + min(since, current)))
            reporter.update(told, **shown, **({"now": now} if now else {}))

        def show(attack: str, done: int, total: int, robust_accuracy: float) -> None:
            nonlocal since
            if attack != CLEAN:
                left[CHECKS] = 0.0
            left[attack] = planned[attack] * (1 - done / total)
            shown.update({"last": attack, "robust": robust_accuracy})
            since = 0
            update()

        def count(*_: object) -> None:
            nonlocal since, updated
            since += 1
            if time.monotonic() - updated > INTERVAL:
                updated = time.monotonic()
                update()

        hook = network.register_forward_hook(count)
        try:
            yield show
        finally:
            hook.remove()
