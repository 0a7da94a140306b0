"""Gradients of the validation loss in alpha: first order, unrolled."""

from rnas.hypergradients.first_order import first_order
from rnas.hypergradients.registry import HYPERGRADIENTS, BilevelProblem, Hypergradient
from rnas.hypergradients.unrolled import unrolled

__all__ = ["HYPERGRADIENTS", "BilevelProblem", "Hypergradient", "first_order", "unrolled"]
