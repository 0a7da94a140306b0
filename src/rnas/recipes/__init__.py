"""Complete, named configurations, and the stages they are made of: search, train, evaluate, report.

A recipe is a YAML file in this folder; `rnas run NAME` runs it, every value can be overridden.
"""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from rnas.errors import UnknownNameError, nearest
from rnas.lazy import lazily
from rnas.recipes.config import (
    BenchmarkCommand,
    EvaluateCommand,
    ExportCommand,
    RecipeCommand,
    SearchCommand,
    TrainCommand,
    VulnerabilityCommand,
)
from rnas.recipes.studies.config import ReproduceCommand, budget_file

if TYPE_CHECKING:
    from rnas.recipes.benchmarking import run_benchmark
    from rnas.recipes.evaluating import run_evaluation
    from rnas.recipes.export import run_export
    from rnas.recipes.stages import run_recipe, run_search, run_training
    from rnas.recipes.studies.running import run_study, tabulate_study
    from rnas.recipes.vulnerability import run_vulnerability

__all__ = [
    "BenchmarkCommand",
    "EvaluateCommand",
    "ExportCommand",
    "RecipeCommand",
    "ReproduceCommand",
    "SearchCommand",
    "TrainCommand",
    "VulnerabilityCommand",
    "budget_file",
    "recipe_file",
    "recipe_names",
    "run_benchmark",
    "run_evaluation",
    "run_export",
    "run_recipe",
    "run_search",
    "run_study",
    "run_training",
    "run_vulnerability",
    "tabulate_study",
]

__getattr__ = lazily(
    __name__,
    {
        "run_benchmark": "benchmarking",
        "run_evaluation": "evaluating",
        "run_export": "export",
        "run_recipe": "stages",
        "run_search": "stages",
        "run_study": "studies.running",
        "run_training": "stages",
        "run_vulnerability": "vulnerability",
        "tabulate_study": "studies.running",
    },
)


def recipe_names() -> list[str]:
    """The recipes that exist."""
    return sorted(path.stem for path in Path(str(resources.files("rnas.recipes"))).glob("*.yaml"))


def recipe_file(name: str) -> Path:
    """The file of a recipe.

    Raises:
        UnknownNameError: if there is no such recipe; the message lists them.
    """
    if name not in recipe_names():
        raise UnknownNameError(f"no recipe is called {name!r}{nearest(name, recipe_names())}")
    return Path(str(resources.files("rnas.recipes"))) / f"{name}.yaml"
