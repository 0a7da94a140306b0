"""The studies by name."""

from __future__ import annotations

from rnas.registry import Registry
from rnas.studies.cells import Cells
from rnas.studies.layers import Layers
from rnas.studies.plan import Study
from rnas.studies.sweep import Sweep
from rnas.studies.tables import Table

__all__ = ["STUDIES"]

STUDIES: Registry[Study] = Registry("study")
for number in range(1, 5):
    STUDIES.register(f"table{number}")(Table(f"table{number}"))
STUDIES.register("figure1")(Layers())
STUDIES.register("figure2")(Cells())
STUDIES.register("figure3")(Sweep())
