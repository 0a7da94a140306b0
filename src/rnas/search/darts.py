"""DARTS: clean losses on both levels, no bound. The first of the baselines, and the steps that the others share.

    min over alpha of L_val(theta*, alpha)  subject to  theta* = argmin over theta of L_train(theta, alpha)

References:
    Liu et al. 2019, "DARTS: Differentiable Architecture Search" (https://arxiv.org/abs/1806.09055), Eq. 3 and 4;
    Eq. 6 for the gradient in alpha (`rnas.hypergradients`).

Deviations:
    Theta is warmed up first, as in the other algorithms of the loop. A step on alpha leaves the running statistics of
    batch norm as they were.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rnas.errors import DivergenceError
from rnas.hypergradients import HYPERGRADIENTS, BilevelProblem
from rnas.search.algorithm import ALGORITHMS, Batch, SearchState, SupernetAlgorithm
from rnas.search.constraint import Vulnerability
from rnas.supernets.base import SupernetAt

__all__ = ["Darts"]


@ALGORITHMS.register("darts")
class Darts(SupernetAlgorithm):
    """Gradient steps on theta and alpha in turn."""

    def theta_step(self, state: SearchState, batch: Batch) -> dict[str, float]:
        """Descend with the gradient of the training loss in theta."""
        weights = self.weights(state, [leaf.detach() for leaf in self.architecture(state)], batch.generator)
        images = self.training_images(state, weights, batch)
        logits = state.network(weights).train()(images)
        value = state.theta_optimiser.step(F.cross_entropy(logits, batch.labels))
        return {"loss": value, "accuracy": accuracy(logits, batch.labels)}

    def alpha_step(self, state: SearchState, batch: Batch, training: Batch) -> dict[str, float]:
        """Descend with the hypergradient of the validation objective."""
        leaves = self.architecture(state)
        joint = nn.utils.parameters_to_vector(leaves).detach().requires_grad_()
        architecture = parts(joint, leaves)
        noise = batch.generator.get_state()
        weights = self.weights(state, architecture, batch.generator)
        # Made here, at the present theta and alpha: constants of the differentiation, whatever theta it goes through.
        images = self.validation_images(state, weights.detach(), batch)
        losses: dict[str, Tensor] = {}

        def objective(*names: str) -> Tensor:
            batch.generator.set_state(noise)
            network = state.network(self.weights(state, architecture, batch.generator)).train()
            terms = {name: F.cross_entropy(network(images[name]), batch.labels) for name in names}
            terms |= self.penalties(state, architecture, network, batch)
            losses.update(terms)
            return torch.stack(list(terms.values())).sum()

        def hypergradient(*names: str) -> Tensor:
            return HYPERGRADIENTS[self.config.hypergradient](
                BilevelProblem(
                    alpha=joint,
                    weights=state.theta_optimiser.parameters,
                    buffers=list(state.supernet.buffers()),
                    validation_loss=partial(objective, *names),
                    training_loss=self.training_loss(state, architecture, training),
                    virtual_step=state.theta_optimiser.virtual_step,
                )
            )

        gradient = self.combined(hypergradient, list(images))
        values = {name: float(value.detach()) for name, value in losses.items()}
        self.descend(state, gradient, values)
        return {"loss": sum(values.values())} | values

    def combined(self, hypergradient: Callable[..., Tensor], names: Sequence[str]) -> Tensor:
        """The gradient to descend with: of the sum of all losses.

        Args:
            hypergradient: names of losses to the gradient of their sum, and of the penalties, in `architecture`.
            names: of all losses.
        """
        return hypergradient(*names)

    def descend(self, state: SearchState, gradient: Tensor, values: dict[str, float]) -> None:
        """One step of Adam on alpha, and on what else the architecture has.

        Args:
            state: the search.
            gradient: in all tensors of `architecture` side by side.
            values: of the losses whose gradient it is, for the error.

        Raises:
            DivergenceError: if the gradient is not finite, or alpha is no longer.
        """
        leaves = self.architecture(state)
        if not bool(gradient.isfinite().all()):
            raise DivergenceError(f"the gradient of alpha is not finite (validation losses {values})")
        for leaf, part in zip(leaves, parts(gradient, leaves), strict=True):
            leaf.grad = part
        state.alpha_optimiser.step()
        if not all(bool(leaf.isfinite().all()) for leaf in leaves):
            # Steps of Adam have the size of the rate; the decay alone would have to be as large to do the same.
            large = max("alpha_learning_rate", "alpha_weight_decay", key=lambda name: getattr(self.config, name))
            raise DivergenceError("alpha is no longer finite", f"a lower {large}")

    def training_loss(self, state: SearchState, architecture: Sequence[Tensor], batch: Batch) -> Callable[[], Tensor]:
        """L_train as a function of the present theta and alpha, with the noise and the images of its first call."""
        noise = batch.generator.get_state()
        images: list[Tensor] = []

        def loss() -> Tensor:
            batch.generator.set_state(noise)
            weights = self.weights(state, architecture, batch.generator)
            if not images:
                images.append(self.training_images(state, weights.detach(), batch))
            return F.cross_entropy(state.network(weights).train()(images[0]), batch.labels)

        return loss

    def training_images(self, state: SearchState, weights: Tensor, batch: Batch) -> Tensor:  # noqa: ARG002
        """The images of the training loss, shape (N, C, H, W)."""
        return batch.images

    def validation_images(self, state: SearchState, weights: Tensor, batch: Batch) -> dict[str, Tensor]:  # noqa: ARG002
        """The images of each term of the validation objective, shape (N, C, H, W)."""
        return {"clean_loss": batch.images}

    def penalties(
        self,
        state: SearchState,  # noqa: ARG002
        architecture: Sequence[Tensor],  # noqa: ARG002
        network: SupernetAt,  # noqa: ARG002
        batch: Batch,  # noqa: ARG002
    ) -> dict[str, Tensor]:
        """Further terms of the validation objective by name, each with its factor; none here.

        Args:
            state: the search.
            architecture: values of the tensors of `architecture`, in which a term may be differentiated.
            network: the supernet at the step's weights, in training mode.
            batch: of the alpha half.
        """
        return {}

    def vulnerability(self, state: SearchState) -> float:
        return self.constraint(state).value(state.alpha)

    def constraint(self, state: SearchState) -> Vulnerability:
        """F as a function of alpha at the present weights."""

        def weights(alpha: Tensor, generator: torch.Generator) -> Tensor:
            return self.weights(state, [alpha, *self.architecture(state)[1:]], generator, smooth=True)

        return Vulnerability(state, self.sample, self.config, weights)


def parts(joint: Tensor, leaves: Sequence[Tensor]) -> list[Tensor]:
    """Tensors that were laid side by side in one vector, each in the shape of its leaf."""
    pieces = joint.split([leaf.numel() for leaf in leaves])
    return [piece.view_as(leaf) for piece, leaf in zip(pieces, leaves, strict=True)]


def accuracy(logits: Tensor, labels: Tensor) -> float:
    """The share of images whose largest logit is their label's."""
    return float((logits.detach().argmax(dim=1) == labels).float().mean())
