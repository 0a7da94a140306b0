"""All search spaces: importing a space's module registers it. A line each."""
# ruff: noqa: F401 - they register

import rnas.supernets.darts.space
import rnas.supernets.nasbench201.space
