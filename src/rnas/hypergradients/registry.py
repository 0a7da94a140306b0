"""Hypergradients: what one is, what it is computed from, and the names of all."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor

from rnas import parallel
from rnas.registry import Registry

__all__ = ["HYPERGRADIENTS", "BilevelProblem", "Hypergradient", "gradients", "unchanged"]


@dataclass(frozen=True)
class BilevelProblem:
    """min over alpha of L_val(w*(alpha), alpha) subject to w*(alpha) = argmin over w of L_train(w, alpha).

    The losses are functions of the present values of the weights and of alpha. A hypergradient writes other values into
    the weights and asks again, so what else a loss depends on must be the same at every call: images, adversarial ones
    included, are constants, and random choices are made before. The first call of `training_loss` sees the weights as
    they were given.

    Args:
        alpha: architecture parameters, a tensor of any shape that requires a gradient.
        weights: the weights w, leaf tensors that require gradients.
        buffers: what else passes through the network change: the running statistics of batch norm.
        validation_loss: L_val, a scalar tensor, differentiable in alpha and the weights.
        training_loss: L_train, likewise; not called by what needs no training loss.
        virtual_step: from the gradients of L_train in the weights (zero where it does not depend on one) to the weights
            that the optimiser's next step would lead to, differentiable in the gradients; changes nothing.
    """

    alpha: Tensor
    weights: Sequence[Tensor]
    buffers: Sequence[Tensor]
    validation_loss: Callable[[], Tensor]
    training_loss: Callable[[], Tensor]
    virtual_step: Callable[[Sequence[Tensor]], Sequence[Tensor]]


#: The gradient of the validation loss in alpha, of alpha's shape, not checked for finiteness. Weights, buffers and all
#: `.grad` are bit for bit as before afterwards, also where a loss raises.
Hypergradient = Callable[[BilevelProblem], Tensor]

HYPERGRADIENTS: Registry[Hypergradient] = Registry("hypergradient", "rnas.hypergradients.catalogue")


def gradients(loss: Tensor, tensors: Sequence[Tensor]) -> list[Tensor]:
    """The gradients of a scalar in some tensors; zero where it does not depend on one.

    Where several processes share the batch, those of the mean over all rows, of a mean over the rows of this one.
    """
    loss = parallel.weighted(loss)
    return parallel.summed(torch.autograd.grad(loss, tensors, allow_unused=True, materialize_grads=True))


@contextmanager
def unchanged(tensors: Sequence[Tensor]) -> Iterator[list[Tensor]]:
    """Whatever happens inside, the tensors have their present values again afterwards; yields copies of these."""
    before = [tensor.detach().clone() for tensor in tensors]
    try:
        yield before
    finally:
        with torch.no_grad():
            for tensor, value in zip(tensors, before, strict=True):
                tensor.copy_(value)
