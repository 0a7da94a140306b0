"""The studies by name."""

from __future__ import annotations

from rnas.recipes.studies.cells import Cells
from rnas.recipes.studies.layers import Layers
from rnas.recipes.studies.plan import Study
from rnas.recipes.studies.sweep import Sweep
from rnas.recipes.studies.tables import Table
from rnas.registry import Registry

__all__ = ["STUDIES"]

STUDIES: Registry[Study] = Registry("study")
for number in range(1, 5):
    STUDIES.register(f"table{number}")(Table(f"table{number}"))
STUDIES.register("figure1")(Layers())
STUDIES.register("figure2")(Cells())
STUDIES.register("figure3")(Sweep())
