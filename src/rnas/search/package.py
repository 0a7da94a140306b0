"""What `rnas.search` is: this package, and when it is called, the command."""

from __future__ import annotations

import inspect
from types import ModuleType
from typing import TYPE_CHECKING

from rnas.surface import search

if TYPE_CHECKING:
    from rnas.search.algorithm import Algorithms
    from rnas.search.config import ConstraintConfig, SearchConfig

    #: Type checkers take any name of a module for granted.
    Package = object
else:
    Package = ModuleType

__all__ = ["SearchPackage"]


class SearchPackage(Package):
    """The package `rnas.search`, which is also a function: ``rnas.search("digits")`` searches.

    So the short name is that of the command, as with `rnas.train` and `rnas.evaluate`, and imports from the package
    stay as they are. `rnas/search/__init__.py` makes the package one of these; type checkers are told so in
    `rnas/__init__.py`, and here what else they find in it.
    """

    ALGORITHMS: Algorithms
    ConstraintConfig: type[ConstraintConfig]
    SearchConfig: type[SearchConfig]
    projection: ModuleType

    __call__ = staticmethod(search)

    @property
    def __signature__(self) -> inspect.Signature:
        """That of the function; Python would take its first argument for the package."""
        return inspect.signature(search)
