"""Refuse a wrong configuration at once: before images are loaded, a directory is made, or hours are spent.

The configurations check ranges themselves; names are checked here, because the registries that know them import torch.
"""

from __future__ import annotations

from typing import Any

import torch

from rnas.data import ImageDataset
from rnas.errors import ConfigError, GenotypeError, UnknownNameError
from rnas.evaluation import ATTACKS, EvaluationSettings
from rnas.evaluation.suite import too_few_classes
from rnas.genotype_texts import is_print
from rnas.hypergradients import HYPERGRADIENTS
from rnas.models.spec import NetworkSpec
from rnas.networks.config import NetworkConfig
from rnas.objectives import OBJECTIVES
from rnas.registry import Lookup
from rnas.search.algorithm import ALGORITHMS
from rnas.search.config import SearchConfig, parse_bound
from rnas.search.projection import SOLVERS
from rnas.supernets.space import SPACES
from rnas.training.config import CellTrainingConfig, TrainingConfig
from rnas.training.schedules import SCHEDULES
from rnas.vulnerability.metrics import METRICS

__all__ = ["check_attacks", "check_cells", "check_name", "check_network", "check_search", "check_training"]


def check_search(config: SearchConfig) -> None:
    """Check the names in a search's settings, and that a relative bound is relative to something.

    Raises:
        UnknownNameError: if there is no such algorithm, space, metric or solver.
        ConfigError: if no network of the space is within the size limit, or has so few cells; the algorithm cannot work
            as configured; or H is a percentage of F, and F is 0 because the attack has no room.
    """
    check_name("search.algorithm", ALGORITHMS, config.algorithm)
    check_name("search.space", SPACES, config.space)
    space = SPACES[config.space]
    try:
        space.check_cells(config.cells)
        if config.shortlist.cells is not None:
            space.check_cells(config.shortlist.cells, "shortlist.cells")
        space.largest(space.at_most(config.size_limit), torch.Generator())
        ALGORITHMS[config.algorithm].check(config, space)
    except ConfigError as error:
        raise ConfigError(f"search.{error}") from error
    check_name("search.hypergradient", HYPERGRADIENTS, config.hypergradient)
    check_name("search.constraint.metric", METRICS, config.constraint.metric)
    check_name("search.shortlist.metric", METRICS, config.shortlist.metric)
    check_name("search.constraint.solver", SOLVERS, config.constraint.solver)
    if parse_bound(config.constraint.bound)[1] and config.attack.eps <= 0:
        raise ConfigError(
            f"search.constraint.bound: expected a number where search.attack.eps is 0, got {config.constraint.bound}: "
            "without an attack F is 0, and so is every percentage of it"
        )


def check_training(config: TrainingConfig) -> None:
    """Check the names in a training's settings, and that its objective has what it learns from.

    Raises:
        UnknownNameError: if there is no such objective or schedule.
        RnasError: if the objective cannot be made, as of a teacher that cannot be loaded.
    """
    check_name("training.objective", OBJECTIVES, config.objective)
    check_name("training.schedule.name", SCHEDULES, config.schedule.name)
    OBJECTIVES[config.objective](config)


def check_cells(space: str, config: CellTrainingConfig) -> None:
    """Check that what a search in a space finds can be trained as configured.

    Raises:
        ConfigError: if it is not made of the cells that drop-path and the auxiliary classifier need.
    """
    if not SPACES[space].trains_cells and config != CellTrainingConfig():
        raise ConfigError(
            f"training.cells: expected auxiliary_weight and drop_path of 0 where search.space is {space}, got "
            f"{config.auxiliary_weight} and {config.drop_path}"
        )


def check_attacks(config: EvaluationSettings, data: ImageDataset) -> None:
    """Check that the attacks can work with the data set's classes.

    Raises:
        ConfigError: if one needs more classes.
    """
    if refusal := too_few_classes(config.attacks, data.num_classes, data.name):
        able = [
            name
            for name in dict.fromkeys([*config.attacks, *ATTACKS])
            if ATTACKS[name].least_classes <= data.num_classes
            and not (ATTACKS[name].transfers and config.transfer_from is None)
        ]
        raise ConfigError(f"evaluation.attacks: {refusal}; choose --evaluation.attacks {','.join(able)}")


def check_network(config: NetworkConfig, key: str = "network") -> None:
    """Check that a network can be built, without its weights.

    Args:
        config: the network.
        key: the setting that holds it.

    Raises:
        ConfigError: if it names both a network and a genotype, or neither, or one that does not exist.
        GenotypeError: if the genotype is missing, malformed, or names an unknown operation.
    """
    try:
        with torch.device("meta"):
            NetworkSpec.of(config, num_classes=2, in_channels=1).build(seed=0)
    except GenotypeError as error:
        message = str(error)
        # The network knows the edge, only the settings know the file.
        where = f"{key}.genotype" if is_print(str(config.genotype)) else str(config.genotype)
        raise GenotypeError(message if where in message else f"{where}: {message}") from error
    except UnknownNameError as error:
        if config.genotype is None:
            raise UnknownNameError(f"{key}: {error}") from error
        where = f"{key}.genotype" if is_print(str(config.genotype)) else str(config.genotype)
        raise UnknownNameError(f"{where}: {error}; one of your own needs its --plugin") from error
    except ConfigError as error:
        message = str(error).removeprefix("network: ")
        raise ConfigError(f"{key}.{message}" if message.startswith("cells: ") else f"{key}: {message}") from error


def check_name(key: str, registry: Lookup[Any], name: str) -> None:
    """Check that a registry has an item of a name; the error begins with the setting.

    Raises:
        UnknownNameError: if it has none.
    """
    try:
        registry[name]
    except UnknownNameError as error:
        raise UnknownNameError(f"{key}: {error}") from error
