"""All objectives: importing an objective's module registers it. A line each."""
# ruff: noqa: F401 - they register

import rnas.objectives.crown_ibp
import rnas.objectives.defensive_distillation
import rnas.objectives.fast_at
import rnas.objectives.gaussian
import rnas.objectives.ibp
import rnas.objectives.mart
import rnas.objectives.pgd_at
import rnas.objectives.smooth_adv
import rnas.objectives.standard
import rnas.objectives.trades
