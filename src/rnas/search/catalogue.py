"""All search algorithms: importing an algorithm's module registers it. A line each."""
# ruff: noqa: F401 - they register

import rnas.search.adversarial_darts
import rnas.search.advrush
import rnas.search.arnas
import rnas.search.beta_darts
import rnas.search.darts
import rnas.search.darts_pt
import rnas.search.dsrna
import rnas.search.evolution
import rnas.search.gdas
import rnas.search.gdas_rnas
import rnas.search.largest
import rnas.search.p_darts
import rnas.search.pc_darts
import rnas.search.racl
import rnas.search.random
import rnas.search.reinforce
import rnas.search.rnas
import rnas.search.robnet
import rnas.search.score
import rnas.search.snas
