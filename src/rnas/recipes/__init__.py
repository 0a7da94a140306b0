"""Complete, named configurations: each a YAML file in this folder.

`rnas run NAME` runs one; every value of it can be overridden.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from rnas.lazy import lazily
from rnas.named_files import file_names, named_file

if TYPE_CHECKING:
    from rnas.commands.config import SearchCommand, TrainCommand
    from rnas.commands.search import run_search
    from rnas.commands.train import run_training
else:
    # What scripts took from here before commands had a room of their own.
    __getattr__, _ = lazily(
        "rnas.commands",
        {"config": ("SearchCommand", "TrainCommand"), "search": ("run_search",), "train": ("run_training",)},
    )

__all__ = ["SearchCommand", "TrainCommand", "recipe_file", "recipe_names", "run_search", "run_training"]


def recipe_names() -> list[str]:
    """The recipes that exist."""
    return file_names("rnas.recipes")


def recipe_file(name: str) -> Path:
    """The file of a recipe.

    Raises:
        UnknownNameError: if there is no such recipe; the message lists them.
    """
    return named_file("rnas.recipes", name, "no recipe")
