"""The sections of the page, in its order. A new one is a module here, and a line in `SECTIONS`."""

from __future__ import annotations

from collections.abc import Callable

from rnas.reports.sections.accuracy import accuracy
from rnas.reports.sections.adversarial import adversarial
from rnas.reports.sections.alpha import alpha
from rnas.reports.sections.base import Page, Section
from rnas.reports.sections.benchmark import benchmark
from rnas.reports.sections.cells import cells
from rnas.reports.sections.certified import certified
from rnas.reports.sections.losses import losses
from rnas.reports.sections.provenance import provenance
from rnas.reports.sections.race import race
from rnas.reports.sections.sanity import sanity
from rnas.reports.sections.trained import trained
from rnas.reports.sections.vulnerability import vulnerability

__all__ = ["SECTIONS", "Page", "Section"]

#: Each makes a section; None where the folder is of a kind that never has it.
SECTIONS: tuple[Callable[[Page], Section | None], ...] = (
    accuracy,
    certified,
    trained,
    benchmark,
    sanity,
    adversarial,
    cells,
    race,
    alpha,
    vulnerability,
    losses,
    provenance,
)
