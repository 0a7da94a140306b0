"""Seeds derived from a run's seed, one for each purpose.

All randomness of a run is a function of its seed and of what it is for (a step, a batch, an attack), never of what was
drawn before. A resumed run therefore continues exactly as the uninterrupted one, with no generator state to save.
"""

from __future__ import annotations

import hashlib

__all__ = ["derive"]


def derive(seed: int, *purpose: int | str) -> int:
    """A seed for one purpose.

    Args:
        seed: the run's seed.
        purpose: names and counters that identify the use, for example ``("theta", step)``.

    Returns:
        An integer in [0, 2^63), as `torch.Generator.manual_seed` takes it; distinct purposes give independent seeds.
    """
    digest = hashlib.sha256(repr((seed, *purpose)).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1
