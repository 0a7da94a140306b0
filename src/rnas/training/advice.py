"""Advise after a divergence: name the setting that is at fault, as far as the numbers tell."""

from __future__ import annotations

from rnas.config import WeightConfig

__all__ = ["advise_weights"]


def advise_weights(settings: WeightConfig, rate_name: str = "learning_rate") -> str:
    """Name the setting of the weights' optimiser to change.

    Without gradients a step of SGD is that of the heavy ball on a quadratic whose curvature is the decay d: at a rate r
    and a momentum m it diverges where r d > 2 (1 + m).

    Source: Polyak 1964, "Some methods of speeding up the convergence of iteration methods".

    Args:
        settings: rate, momentum, decay, clipping.
        rate_name: what the user's settings call the learning rate.

    Returns:
        The remedy, in words.
    """
    product, most = settings.learning_rate * settings.weight_decay, 2 * (1 + settings.momentum)
    # Of the two factors the one that is out of place is the larger: rates are below 1, and decays far below.
    if product > most and settings.weight_decay > settings.learning_rate:
        return (
            f"a lower weight_decay (times {rate_name} it is {product:.3g}: above 2 (1 + momentum) = {most:.3g} "
            "weights grow without end)"
        )
    return f"a lower {rate_name} or gradient_clip"
