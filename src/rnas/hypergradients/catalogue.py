"""All hypergradients: importing a module registers its function. A line each."""
# ruff: noqa: F401 - they register

import rnas.hypergradients.first_order
import rnas.hypergradients.unrolled
