"""RNAS on sampled single paths: Algorithm 1 with the supernet trained path by path, under the bound F <= H.

F is the mean vulnerability of relaxed samples with fixed noise, a smooth function of alpha (`rnas.search.constraint`).

References:
    "RNAS: Robust Network Architecture Search beyond DARTS", Algorithm 1, as in `rnas.search.rnas`; Dong and Yang 2019
    (https://arxiv.org/abs/1910.04465), as in `rnas.search.gdas`.
"""

from __future__ import annotations

from rnas.search.algorithm import ALGORITHMS
from rnas.search.relaxations import SAMPLED_PATHS
from rnas.search.rnas import RNAS

__all__ = ["GdasRNAS"]


@ALGORITHMS.register("gdas_rnas")
class GdasRNAS(RNAS):
    """RNAS on sampled paths."""

    relaxation = SAMPLED_PATHS
