"""Searches that draw one candidate after another and are told how good each is.

The reward of a candidate is its robust accuracy on validation images: after a short adversarial training of its own,
or, a thousand times faster and less to be trusted, with the weights of a supernet that is trained first.
"""

from __future__ import annotations

import abc
from collections.abc import Callable
from dataclasses import dataclass

import torch

from rnas.config import MOST_REPETITIONS, require
from rnas.genotype import Genotype
from rnas.run.files import refuse_link
from rnas.search.algorithm import Algorithm, Batch, Preparation, SearchState
from rnas.search.candidates import Trial, measures_of, perform
from rnas.search.config import SearchConfig
from rnas.search.measurements import Measurements
from rnas.search.settings import own_settings
from rnas.search.subnets import Subnets
from rnas.seeding import derive
from rnas.supernets.space import SearchSpace

__all__ = ["Reward", "Sampling", "SamplingConfig"]

#: From a candidate to its robust accuracy, in [0, 1].
Reward = Callable[[Genotype], float]

REWARDS = ("training", "supernet")


@dataclass(frozen=True)
class SamplingConfig:
    """Settings that searches by sampling share.

    Args:
        candidates: how many to draw and reward, at least 1.
        reward: robust accuracy on the validation images of search.shortlist.images: "training", after an adversarial
            training of the candidate, as in search.shortlist; or "supernet", with the weights of a supernet that is
            trained on random subnets first, for search.epochs.
        epochs: epochs of a candidate's training, at least 1.
    """

    candidates: int = 100
    reward: str = "training"
    epochs: int = 1

    def __post_init__(self) -> None:
        """Check the ranges."""
        require(self.candidates >= 1, "candidates", "an integer >= 1", self.candidates, at_most=MOST_REPETITIONS)
        require(self.reward in REWARDS, "reward", " or ".join(REWARDS), self.reward)
        require(self.epochs >= 1, "epochs", "an integer >= 1", self.epochs)


class Sampling(Algorithm):
    """Proposes what `explore` was rewarded most for. Its own settings are a `SamplingConfig`."""

    @classmethod
    def check(cls, config: SearchConfig, space: SearchSpace) -> None:
        if own_settings(config).reward == "supernet":
            Subnets.check(config, space)

    def __init__(self, config: SearchConfig, sample: Batch) -> None:
        super().__init__(config, sample)
        self.trainer = Subnets(config, sample) if self.own.reward == "supernet" else None
        self.trains_candidates = self.trainer is None

    @abc.abstractmethod
    def explore(self, state: SearchState, reward: Reward, seed: int) -> None:
        """Draw as many candidates as the settings say.

        Args:
            state: the search.
            reward: to be called once for each, in the order in which they are drawn.
            seed: decides all that is random, each candidate by its number: a killed search comes here again, and what
                it was rewarded before it gets again.
        """

    def prepare(self, state: SearchState, search: Preparation) -> None:
        trainer, seed = self.trainer, search.run.manifest["seed"]
        refuse_link(search.run.path / "trainings")

        def measure(genotype: Genotype, number: int) -> float:
            if isinstance(trainer, Subnets):
                return trainer.inherited_accuracy(state, genotype, search.sample)
            return self.trained_accuracy(state, genotype, search, number)

        self.rewards = Measurements(
            "rewards",
            measure,
            state,
            search.run,
            total=self.own.candidates,
            every=1 if trainer is None else search.checkpoint_every,
        )
        self.explore(state, self.rewards, derive(seed, self.config.algorithm))

    def trained_accuracy(self, state: SearchState, genotype: Genotype, search: Preparation, number: int) -> float:
        """The robust accuracy of a candidate after a training of its own, in a run directory of its own."""
        folder = search.run.path / "trainings" / str(number)
        seed = derive(search.run.manifest["seed"], "training", number)
        perform(Trial.of(folder, genotype, seed, self.own.epochs, self.config, search))
        return measures_of(folder, state)["robust_accuracy"]

    def candidate(self, state: SearchState, index: int, at_most: int | None, generator: torch.Generator) -> Genotype:  # noqa: ARG002
        ranked = self.rewards.ranked()
        return ranked[index % len(ranked)]
