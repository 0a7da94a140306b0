"""Who suggests the settings of a trial, by name. Each suggestion depends on nothing but what it is given.

A sampler of Optuna is made anew for each trial, from a seed of that trial, and sees the trials of earlier batches as
they ended and those of its own batch as still running. So no kill, and no order in which trials end, changes a study.

References:
    Bergstra et al. 2011, "Algorithms for Hyper-Parameter Optimization": TPE.
    Ozaki et al. 2022, "Multiobjective Tree-Structured Parzen Estimator", JAIR 73: its form for several objectives.
    Deb et al. 2002, "A Fast and Elitist Multiobjective Genetic Algorithm: NSGA-II", IEEE TEC 6(2).
    Bergstra and Bengio 2012, "Random Search for Hyper-Parameter Optimization", JMLR 13.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from rnas.errors import ConfigError
from rnas.registry import Lookup
from rnas.seeding import derive
from rnas.tuning.space import Dimension, Value, rounded

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.samplers import BaseSampler
    from optuna.study import Study
    from optuna.trial import FrozenTrial

__all__ = ["SAMPLERS", "Past", "Sampler", "Suggestion", "describe_samplers", "distributions", "grid_size"]

#: Points of the largest grid: its order is drawn from all of them.
MOST_POINTS = 100_000


@dataclass(frozen=True)
class Suggestion:
    """What a trial is to be.

    Args:
        drawn: a value of each dimension, in the unit of a range.
        attributes: what the sampler notes about the trial for later ones.
    """

    drawn: Mapping[str, Value]
    attributes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Past:
    """What a sampler may know.

    Args:
        signs: of each objective, 1 where more is better and -1 where less is.
        trials: those before, as Optuna keeps them; of the same batch as running.
        startup: trials that TPE draws at random before it learns.
        population: trials of a generation of NSGA-II.
    """

    signs: Sequence[int]
    trials: Sequence[FrozenTrial]
    startup: int
    population: int


@dataclass(frozen=True)
class Sampler:
    """A way to suggest.

    Args:
        words: what it is, for help.
        alone: whether a suggestion needs no other trial, so that all may run at once.
        suggest: (dimensions, seed of the study, number of the trial, past) -> suggestion.
    """

    words: str
    alone: bool
    suggest: Callable[[Sequence[Dimension], int, int, Past], Suggestion]


SAMPLERS: Lookup[Sampler] = Lookup("sampler")


def describe_samplers() -> list[str]:
    """A line for each sampler."""
    width = max(map(len, SAMPLERS))
    return [f"{name:{width}}  {SAMPLERS[name].words}" for name in SAMPLERS]


def distributions(dimensions: Sequence[Dimension]) -> dict[str, BaseDistribution]:
    """The space as Optuna describes it."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    found: dict[str, BaseDistribution] = {}
    for one in dimensions:
        if one.choices:
            found[one.key] = CategoricalDistribution(one.choices)
        elif one.whole:
            found[one.key] = IntDistribution(int(one.low), int(one.high), log=one.log, step=int(one.step))
        else:
            found[one.key] = FloatDistribution(one.low, one.high, log=one.log, step=one.step or None)
    return found


def asked(
    make: Callable[[int, Past], BaseSampler], dimensions: Sequence[Dimension], seed: int, number: int, past: Past
) -> Suggestion:
    """What a sampler of Optuna suggests in a study that holds just the past."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    # numpy's generators of Optuna take seeds of 32 bits.
    sampler = make(derive(seed, "trial", number) % 2**32, past)
    directions = ["maximize" if sign > 0 else "minimize" for sign in past.signs]
    study: Study = optuna.create_study(sampler=sampler, directions=directions)
    study.add_trials(past.trials)
    trial = study.ask(distributions(dimensions))
    drawn = dict(trial.params)
    for one in dimensions:
        if not one.choices and not one.step:
            drawn[one.key] = rounded(drawn[one.key], one.low, one.high)
    return Suggestion(drawn, study.get_trials(deepcopy=False)[-1].system_attrs)


def by_optuna(name: str, words: str, make: Callable[[int, Past], BaseSampler], *, alone: bool = False) -> None:
    """Register a sampler of Optuna; `make` gets a seed and the past."""

    def suggest(dimensions: Sequence[Dimension], seed: int, number: int, past: Past) -> Suggestion:
        return asked(make, dimensions, seed, number, past)

    SAMPLERS.add(name, Sampler(words, alone, suggest), module=__name__)


def tpe(seed: int, past: Past) -> BaseSampler:
    from optuna.samplers import TPESampler

    return TPESampler(seed=seed, n_startup_trials=past.startup)


def nsga2(seed: int, past: Past) -> BaseSampler:
    from optuna.samplers import NSGAIISampler

    return NSGAIISampler(seed=seed, population_size=past.population)


def at_random(seed: int, past: Past) -> BaseSampler:  # noqa: ARG001 - one signature for all
    from optuna.samplers import RandomSampler

    return RandomSampler(seed=seed)


def on_grid(dimensions: Sequence[Dimension], seed: int, number: int, past: Past) -> Suggestion:  # noqa: ARG001 - likewise
    """The points of the grid in an order that the seed draws: a part of them is then a sample of all."""
    size = grid_size(dimensions)
    order = list(range(size))
    random.Random(derive(seed, "grid")).shuffle(order)
    rest, drawn = order[number], {}
    for one in dimensions:
        rest, place = divmod(rest, one.size or 1)
        if one.choices:
            drawn[one.key] = one.choices[place]
        else:
            value = one.low + place * one.step
            drawn[one.key] = round(value) if one.whole else value
    return Suggestion(drawn)


def grid_size(dimensions: Sequence[Dimension]) -> int:
    """The number of points of a grid.

    Raises:
        ConfigError: if a range holds any number, or there are too many points.
    """
    for one in dimensions:
        if one.size is None:
            raise ConfigError(
                f"space: {one.key}: expected a finite number of values for the sampler grid: add :points=5 or :step="
            )
    size = math.prod(one.size or 1 for one in dimensions)
    if size > MOST_POINTS:
        raise ConfigError(f"space: expected a grid of at most {MOST_POINTS:,} points, got {size:,}")
    return size


by_optuna("tpe", "learns which settings the better trials have (tree-structured Parzen estimator)", tpe)
by_optuna("nsga2", "crosses and mutates the trials of the last generation that no others dominate (NSGA-II)", nsga2)
by_optuna("random", "draws each trial at random", at_random, alone=True)
SAMPLERS.add("grid", Sampler("every combination of values, in random order", True, on_grid), module=__name__)
