"""All engines: importing a module registers that in it. A line each."""
# ruff: noqa: F401 - they register

import rnas.executors.cluster
import rnas.executors.engines
