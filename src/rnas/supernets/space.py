"""Search spaces by name: all that a search, a training and an export need of one, in one place."""

from __future__ import annotations

import abc
from dataclasses import replace
from typing import ClassVar

import torch
from torch import Tensor, nn

from rnas.config import require
from rnas.errors import ConfigError
from rnas.genotype import Edge, Genotype
from rnas.networks.counting import count_parameters
from rnas.registry import Named
from rnas.spaces import darts
from rnas.supernets.base import CellSupernet

__all__ = ["SPACES", "SearchSpace", "space_of"]


class SearchSpace(abc.ABC):
    """A space of cells made searchable, and its genotypes made networks.

    Register a subclass in `SPACES`; the folders beside this file hold ours.

    Args:
        name: what it is registered as, and what its genotypes say in genotype.json.
    """

    #: Kinds of cell, in the order of alpha's first dimension.
    kinds: ClassVar[tuple[str, ...]]
    #: Candidate operations of an edge, in the order of alpha's last dimension.
    operations: ClassVar[tuple[str, ...]]
    #: Source and target node of each edge, in the order of alpha's second dimension; empty where nobody has named them.
    edges: ClassVar[tuple[tuple[int, int], ...]] = ()
    #: The supernet that mixes all operations of every edge, and one which is fast where most weights are 0.
    supernet: ClassVar[type[CellSupernet]]
    path_supernet: ClassVar[type[CellSupernet]]
    #: Whether `path_supernet` takes `one_in`: whether its operations can be computed on some channels only.
    partial_channels: ClassVar[bool] = False
    #: The published form of its networks, of which sizes are told.
    channels: ClassVar[int]
    cells: ClassVar[int]
    #: Fewest cells of a network, and why there are not fewer.
    least_cells: ClassVar[int] = 1
    why_least: ClassVar[str] = ""
    #: Whether its networks can be trained with drop-path and an auxiliary classifier: whether they are a `CellNetwork`.
    trains_cells: ClassVar[bool] = False
    #: Whether a genotype may hold edges that carry `none`.
    keeps_none: ClassVar[bool] = False

    def __init__(self, name: str) -> None:
        self.name = name

    @abc.abstractmethod
    def build(self, genotype: Genotype, num_classes: int, *, channels: int, cells: int, in_channels: int) -> nn.Module:
        """The network of a genotype, with fresh weights.

        Args:
            genotype: of this space.
            num_classes: number of classes.
            channels: channels of the first stage.
            cells: number of cells.
            in_channels: channels of the images.

        Returns:
            A module from images in [0, 1], shape (N, in_channels, H, W), to logits (N, num_classes). Its `cells` hold
            the cells, whose outputs Eq. 5 measures; a first layer `normalise` is fitted to the training images.

        Raises:
            GenotypeError: if the genotype is not of the space.
        """

    @abc.abstractmethod
    def derive(self, alpha: Tensor, at_most: int | None) -> Genotype:
        """The genotype of alpha.

        Args:
            alpha: logits, shape `supernet.alpha_shape`.
            at_most: parameters that its network may have in the published form; None for any number.

        Raises:
            ConfigError: if no network is so small.
        """

    def choose(self, weights: Tensor, at_most: int | None) -> Genotype:  # noqa: ARG002
        """The genotype of the greatest weights, as `derive` takes it of the softmax of alpha.

        Args:
            weights: >= 0, shape `supernet.alpha_shape`; an operation of weight 0 is out of the question.
            at_most: see `derive`.

        Raises:
            ConfigError: if no network is so small, or none is left; or the space only knows how to derive.
        """
        raise ConfigError(f"space: expected one that chooses by weights, got {self.name}, which has only derive")

    def has_network(self, left: Tensor, at_most: int | None) -> bool:
        """Whether `choose` finds a genotype among the operations that are left, shape as alpha's, 0 for those gone."""
        try:
            self.choose(left, at_most)
        except ConfigError:
            return False
        return True

    @property
    def chooses(self) -> bool:
        """Whether it names its edges and can `choose`, as algorithms ask that weigh or remove single edges."""
        return bool(self.edges) and self.has_network(torch.ones(self.supernet.alpha_shape), None)

    @abc.abstractmethod
    def largest(self, at_most: int | None, generator: torch.Generator) -> Genotype:
        """A genotype with the most parameters, of those with at most so many; raises as `derive`.

        Args:
            at_most: see `derive`.
            generator: on the CPU; decides between equal ones.
        """

    def path(self, genotype: Genotype) -> Tensor:
        """The weights of the operations at which the supernet computes a genotype: 1 for each of its edges, else 0.

        Args:
            genotype: of this space.

        Returns:
            Shape `supernet.alpha_shape`, on the CPU.

        Raises:
            ConfigError: if the space does not name its edges.
        """
        require(bool(self.edges), "space", "one that names its edges", self.name)
        weights = torch.zeros(self.supernet.alpha_shape)
        for kind, name in enumerate(self.kinds):
            cell = genotype[name]
            for target, edges in enumerate(cell.nodes, start=cell.inputs):
                for edge in edges:
                    weights[kind, self.edges.index((edge.source, target)), self.operations.index(edge.op)] = 1
        return weights

    def neighbours(self, genotype: Genotype) -> list[Genotype]:
        """All genotypes of the space that differ in one decision: the operation of an edge, or the node that it reads.

        Args:
            genotype: of this space.
        """
        operations = [name for name in self.operations if name != "none" or self.keeps_none]
        found = []
        for kind, cell in genotype.cells:
            for node, edges in enumerate(cell.nodes):
                unread = set(range(cell.inputs + node)) - {edge.source for edge in edges}
                for place, edge in enumerate(edges):
                    others = [Edge(name, edge.source) for name in operations if name != edge.op]
                    others += [Edge(edge.op, source) for source in sorted(unread)]
                    for other in others:
                        changed = (*edges[:place], other, *edges[place + 1 :])
                        nodes = (*cell.nodes[:node], changed, *cell.nodes[node + 1 :])
                        cells = dict(genotype.cells) | {kind: replace(cell, nodes=nodes)}
                        found.append(Genotype(cells, space=genotype.space))
        return found

    def mutate(self, genotype: Genotype, at_most: int | None, generator: torch.Generator) -> Genotype | None:
        """A random neighbour within the size limit; None if there is none.

        Args:
            genotype: of this space.
            at_most: see `derive`.
            generator: on the CPU.

        References:
            Real et al. 2019 (https://arxiv.org/abs/1802.01548), Section 3: hidden state and operation mutations.
        """
        neighbours = self.neighbours(genotype)
        order = torch.randperm(len(neighbours), generator=generator).tolist()
        fitting = (neighbours[index] for index in order)
        return next((one for one in fitting if at_most is None or self.size(one) <= at_most), None)

    def size(self, genotype: Genotype) -> int:
        """Parameters of a genotype's network in the published form of the space, for ten classes."""
        with torch.device("meta"):
            return count_parameters(self.build(genotype, 10, channels=self.channels, cells=self.cells, in_channels=3))

    def at_most(self, limit: int | str | None) -> int | None:
        """A size limit in parameters: itself, or that percentage of the space's largest network."""
        if limit is None or isinstance(limit, int):
            return limit
        return int(float(limit.removesuffix("%")) / 100 * self.size(self.largest(None, torch.Generator())))

    def none_weight(self, alpha: Tensor) -> float:
        """The mean softmax weight on `none`, in [0, 1]: how much of the supernet is switched off; 0 without `none`."""
        if "none" not in self.operations:
            return 0.0
        return float(alpha.detach().softmax(dim=-1)[..., self.operations.index("none")].mean())

    def check_cells(self, cells: int, key: str = "cells") -> None:
        """Refuse fewer cells than its networks need.

        Args:
            cells: of a network.
            key: the setting.

        Raises:
            ConfigError: the message begins with the setting.
        """
        why = f" ({self.why_least})" if self.why_least else ""
        require(cells >= self.least_cells, key, f"an integer >= {self.least_cells}{why}", cells)


SPACES: Named[SearchSpace] = Named("search space", "rnas.supernets.catalogue")


def space_of(genotype: Genotype) -> SearchSpace:
    """The space of a genotype.

    Files of before they named it are of the space that has their kinds of cell, and where none has, of DARTS's, as they
    were read then.

    Raises:
        UnknownNameError: if no space of its name is registered.
    """
    if genotype.space is not None:
        return SPACES[genotype.space]
    fitting = (name for name in SPACES if sorted(SPACES[name].kinds) == list(genotype.kinds))
    return SPACES[next(fitting, darts.NAME)]
