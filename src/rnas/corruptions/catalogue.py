"""All corruptions: importing a module registers those in it. A line each."""
# ruff: noqa: F401 - they register

import rnas.corruptions.blur
import rnas.corruptions.compression
import rnas.corruptions.light
import rnas.corruptions.noise
