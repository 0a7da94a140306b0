"""What of a study can be refused at once: before anything is made, in one line."""

from __future__ import annotations

import importlib.util

from rnas.commands.checks import check_attacks
from rnas.commands.comparing import load_data
from rnas.commands.config import RecipeCommand
from rnas.commands.run import check_recipe
from rnas.commands.tune_config import TuneCommand
from rnas.config import require
from rnas.errors import ConfigError, UnknownNameError
from rnas.recipes import recipe_file
from rnas.training.loop import check_images
from rnas.tuning.changing import changed, check_dimensions, typed
from rnas.tuning.objectives import check_objectives
from rnas.tuning.samplers import SAMPLERS, Sampler, grid_size
from rnas.tuning.space import Dimension, parse_space, readable

__all__ = ["checked_study"]


def checked_study(command: TuneCommand) -> tuple[Sampler, tuple[Dimension, ...], int]:
    """The sampler, the space and the number of trials of a study whose settings have been checked.

    Raises:
        ConfigError: if a name does not exist, a setting cannot have one of its values, or trials could not be compared;
            the message names the setting.
    """
    recipe_file(command.recipe)
    try:
        sampler = SAMPLERS[command.sampler]
    except UnknownNameError as error:
        raise UnknownNameError(f"sampler: {error}") from error
    if importlib.util.find_spec("optuna") is None:
        raise ConfigError("optuna is not installed, which rnas tune needs: pip install 'rnas[tune]'")
    dimensions = parse_space(command.space)
    check_objectives(command.objectives, command.evaluation.attacks)
    check_dimensions(type(command), dimensions)
    trials = min(command.trials, grid_size(dimensions)) if command.sampler == "grid" else command.trials
    check_comparable(command, {dimension.key for dimension in dimensions})
    side_by_side = command.workers if command.engine == "local" else 1
    if not sampler.alone and side_by_side > command.batch:
        raise ConfigError(
            f"workers: expected at most batch ({command.batch}) with the sampler {command.sampler}, which waits for "
            f"results: --batch {side_by_side}, or --sampler random; got {side_by_side}"
        )
    check_values(command, dimensions)
    data = load_data(command.data, command.seed)
    check_attacks(command.evaluation, data)
    check_images(data, command.training)
    return sampler, dimensions, trials


def check_comparable(command: TuneCommand, varied: set[str]) -> None:
    """Make sure that the trials are measured alike, whatever is varied."""
    if command.evaluation.eps is None and varied & {"training.attack.eps", "training.objective"}:
        raise ConfigError("evaluation.eps: expected a distance where the space varies the attack of the training")
    metric = "search.constraint.metric"
    require("F" not in command.objectives or metric not in varied, "objectives", f"no F where {metric} varies", "F")


def check_values(command: TuneCommand, dimensions: tuple[Dimension, ...]) -> None:
    """Try the values of each dimension, one after another, in the recipe's settings."""
    kind, base = type(command), RecipeCommand(**command.recipe_settings())
    check_recipe(base)
    for dimension in dimensions:
        for value in dimension.ends():
            try:
                check_recipe(changed(base, {dimension.key: typed(kind, dimension.key, value)}))
            except ConfigError as error:
                raise ConfigError(f"space: {dimension.key} cannot be {readable(value)}: {error}") from error
