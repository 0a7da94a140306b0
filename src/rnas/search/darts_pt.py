"""DARTS-PT: operations are chosen by what the supernet loses without them, and not by alpha.

The supernet is trained first; with `fixed_alpha` all of its operations weigh the same, for alpha stays at 0. Then the
edges are decided one after another, in random order, with training of the weights in between:

    o* = argmin over o of ACC_val(supernet without o on this edge)                       (Algorithm 1, line 5)

and the other operations of the edge are removed. When all edges are decided, each node, in random order, loses the
incoming edge without which the supernet is the best, until it has as many as the space wants (line 12).

Here ACC_val is the accuracy under attack, on the fixed sample of validation images (``search.constraint.images``).

References:
    Wang et al. 2021, "Rethinking Architecture Selection in Differentiable NAS" (https://arxiv.org/abs/2108.04392),
    Sections 3.3 and 5, Algorithm 1; with `fixed_alpha`, "DARTS-PT (fix alpha)", the cheapest cure of skip collapse.

Deviations:
    Losses are those of Eq. 8, attacks are made anew on each perturbed supernet; of equal accuracies the greater loss
    decides. As in the published code (ruocwang/darts-pt), and not in the paper, batch norms take the statistics of the
    batch while a perturbed supernet is measured, for running ones do not fit it.
    Decisions are spread evenly over the ends of the last epochs, where the authors tune five epochs after each. All
    kinds of cell have one order, where the authors decide an edge of both kinds at a time.
    Under a size limit an operation is only chosen, and an edge only removed, if a network within it is left.
    `fixed_alpha` is the default; in the authors' code it is an option.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from rnas.config import require
from rnas.data.batches import in_batches
from rnas.genotype import Genotype
from rnas.hypergradients.registry import unchanged
from rnas.search.adversarial_darts import AdversarialDarts
from rnas.search.algorithm import ALGORITHMS, Batch, SearchState
from rnas.search.config import SearchConfig
from rnas.search.relaxations import rival
from rnas.search.subnets import attacked
from rnas.supernets.space import SearchSpace

__all__ = ["DartsPT", "DartsPTConfig"]


@dataclass(frozen=True)
class DartsPTConfig:
    """Settings of the algorithm "darts_pt".

    Args:
        fixed_alpha: keep alpha at 0 and train only the weights.
        selection: the last part of the epochs after the warm-up, at whose ends edges are decided, in (0, 1].
        attack_each: attack each perturbed supernet by itself. Otherwise one attack on the supernet, before the
            decisions of an epoch's end, serves them all. That takes a fraction of the passes, but an operation at which
            the attack aims then looks harmless to lose.
        compared: how many operations of an edge are compared, at least 1: those of the greatest alpha, among equal
            ones some at random; null compares all.
    """

    fixed_alpha: bool = True
    selection: float = 0.5
    attack_each: bool = True
    compared: int | None = None

    def __post_init__(self) -> None:
        """Check the ranges."""
        require(0 < self.selection <= 1, "selection", "a number in (0, 1]", self.selection)
        require(self.compared is None or self.compared >= 1, "compared", "an integer >= 1 or null", self.compared)


@ALGORITHMS.register("darts_pt", settings=DartsPTConfig)
class DartsPT(AdversarialDarts):
    """Adversarial DARTS that ends with perturbation-based selection.

    It keeps which operations are left (1 or 0, alpha's shape), the order of the decisions and how many have been made,
    and for each operation the loss without it when it was measured.
    """

    @classmethod
    def check(cls, config: SearchConfig, space: SearchSpace) -> None:
        require(
            config.epochs > config.warmup_epochs,
            "warmup_epochs",
            f"less than search.epochs ({config.epochs}), for darts_pt chooses after the warm-up",
            config.warmup_epochs,
        )
        require(space.chooses, "space", "one with named edges that chooses by weights, for darts_pt", space.name)

    def begin(self, state: SearchState, generator: torch.Generator) -> None:
        self.at_most = state.space.at_most(self.config.size_limit)
        kinds, edges, _ = state.alpha.shape
        ties = state.alpha.detach().clone()  # near 0, at random
        if self.own.fixed_alpha:
            state.set_alpha(torch.zeros_like(state.alpha))
        nodes = len({target for _, target in state.space.edges})
        order = [torch.randperm(kinds * edges, generator=generator), torch.randperm(kinds * nodes, generator=generator)]
        kept = {
            "left": torch.ones(state.alpha.shape),
            "lost": torch.zeros(state.alpha.shape),
            "ties": ties,
            "edge_order": order[0],
            "node_order": order[1],
            "decided": torch.zeros((), dtype=torch.int64),
        }
        state.extra |= {name: tensor.to(state.alpha.device) for name, tensor in kept.items()}

    def weights(
        self, state: SearchState, architecture: Sequence[Tensor], generator: torch.Generator, *, smooth: bool = False
    ) -> Tensor:
        """The softmax of alpha on edges that are not decided; on the others what is left, as it is."""
        left, order = state.extra["left"], state.extra["edge_order"]
        decided = torch.zeros(len(order), dtype=torch.bool, device=left.device)
        decided[order[: int(state.extra["decided"])]] = True
        mixture = super().weights(state, architecture, generator, smooth=smooth)
        return torch.where(decided.view(*left.shape[:2], 1), left, mixture)

    def alpha_step(self, state: SearchState, batch: Batch, training: Batch) -> dict[str, float]:
        return {} if self.own.fixed_alpha else super().alpha_step(state, batch, training)

    def end_epoch(self, state: SearchState) -> dict[str, Any]:
        """Make the decisions that are due."""
        edges, nodes = state.extra["edge_order"].tolist(), state.extra["node_order"].tolist()
        before, due = int(state.extra["decided"]), self.due(state.epoch + 1, len(edges) + len(nodes))
        targets = sorted({target for _, target in state.space.edges})
        state.supernet.train()
        with unchanged(list(state.supernet.buffers())):
            shown = None if self.own.attack_each or due == before else self.attacked(state, self.present(state))
            for number in range(before, due):
                if number < len(edges):
                    kind, edge = divmod(edges[number], state.alpha.shape[1])
                    self.choose_operation(state, kind, edge, shown)
                else:
                    kind, node = divmod(nodes[number - len(edges)], len(targets))
                    self.prune_node(state, kind, targets[node], shown)
                state.extra["decided"] += 1
        return {"decided": due, "left": state.extra["left"].tolist()} if due > before else {}

    def due(self, epochs: int, decisions: int) -> int:
        """How many of the decisions are to be made in so many epochs: an equal share at the end of each of the last."""
        searching = self.config.epochs - self.config.warmup_epochs
        last = max(1, round(self.own.selection * searching))
        return decisions * max(0, epochs - (self.config.epochs - last)) // last

    def choose_operation(self, state: SearchState, kind: int, edge: int, shown: Tensor | None) -> None:
        """Leave an edge the operation whose absence costs most accuracy, among all that the limit allows."""
        left, weights, allowed = state.extra["left"], self.present(state), []
        for operation in (state.alpha.detach() + state.extra["ties"])[kind, edge].argsort(descending=True).tolist():
            alone = left.clone()
            alone[kind, edge] = F.one_hot(torch.tensor(operation), left.shape[2])
            if state.space.has_network(alone, self.at_most):
                allowed.append(operation)
        outcomes = {}
        for operation in allowed[: self.own.compared]:
            without = weights.clone()
            without[kind, edge, operation] = 0
            outcomes[operation] = self.outcome(state, without, shown)
            state.extra["lost"][kind, edge, operation] = -outcomes[operation][1]
        best = min(outcomes, key=outcomes.__getitem__)
        left[kind, edge] = F.one_hot(torch.tensor(best), left.shape[2])

    def prune_node(self, state: SearchState, kind: int, node: int, shown: Tensor | None) -> None:
        """Remove the incoming edges that cost least accuracy, one by one, as long as a network is left."""
        left = state.extra["left"]
        incoming = [edge for edge, (_, target) in enumerate(state.space.edges) if target == node]
        while True:
            outcomes = {}
            for edge in incoming:
                without = left.clone()
                without[kind, edge] = 0
                if bool(left[kind, edge].any()) and state.space.has_network(without, self.at_most):
                    outcomes[edge] = self.outcome(state, without, shown)
            if not outcomes:
                return
            left[kind, max(outcomes, key=outcomes.__getitem__)] = 0

    def present(self, state: SearchState) -> Tensor:
        """The weights of the operations as they are now, without a gradient."""
        return self.weights(state, [state.alpha.detach()], self.sample.generator)

    def attacked(self, state: SearchState, weights: Tensor) -> Tensor:
        """Adversarial images of the sample against the supernet in its present mode, shape (N, C, H, W)."""
        network, noise = state.network(weights), self.sample.noise()
        batches = [
            Batch(self.sample.images[rows], self.sample.labels[rows], noise)
            for rows, _ in in_batches(len(self.sample.labels), self.config.batch_size)
        ]
        return torch.cat([attacked(network, batch, self.config.attack) for batch in batches])

    @torch.no_grad()
    def outcome(self, state: SearchState, weights: Tensor, shown: Tensor | None = None) -> tuple[float, float]:
        """The supernet's accuracy on adversarial images, and its loss with a minus: the more the better.

        In the supernet's present mode; in training mode it moves its running statistics.

        Args:
            state: the search.
            weights: of the operations.
            shown: adversarial versions of the sample; None for an attack on the supernet at these weights.
        """
        shown = self.attacked(state, weights) if shown is None else shown
        network, labels = state.network(weights), self.sample.labels
        accuracy = loss = 0.0
        for rows, share in in_batches(len(labels), self.config.batch_size):
            logits = network(shown[rows])
            accuracy += share * float((logits.argmax(dim=1) == labels[rows]).float().mean())
            loss += share * float(F.cross_entropy(logits, labels[rows]))
        return accuracy, -loss

    def candidate(self, state: SearchState, index: int, at_most: int | None, generator: torch.Generator) -> Genotype:
        """The cell that is left; other candidates follow the losses without each operation, with noise."""
        if index == 0:
            return state.space.choose(state.extra["left"], at_most)
        return state.space.derive(rival(state.extra["lost"].cpu(), generator), at_most)
