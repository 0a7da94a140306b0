"""Proofs of robustness: no image of a ball changes its class."""

from typing import TYPE_CHECKING

from rnas.lazy import lazily

if TYPE_CHECKING:
    from rnas.certification.bounds import Program, crown_ibp_margins, crown_margins, interval_margins, trace
else:
    __getattr__, __dir__ = lazily(
        __name__, {"bounds": ("Program", "crown_ibp_margins", "crown_margins", "interval_margins", "trace")}
    )

__all__ = ["Program", "crown_ibp_margins", "crown_margins", "interval_margins", "trace"]
