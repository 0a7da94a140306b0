"""The studies: importing a module registers those in it. A line each."""
# ruff: noqa: F401 - they register

import rnas.studies.cells
import rnas.studies.layers
import rnas.studies.sweep
import rnas.studies.tables
