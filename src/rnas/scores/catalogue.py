"""All training-free scores: importing a score's module registers it. A line each."""
# ruff: noqa: F401 - they register

import rnas.scores.croze
import rnas.scores.interval_bound
import rnas.scores.jacobian
import rnas.scores.nwot
import rnas.scores.parameters
import rnas.scores.synflow
import rnas.scores.vulnerability
import rnas.scores.zico
