"""Configurations that take the own settings of algorithms: ``--search.<algorithm>.*``, typed as all others.

`SearchConfig` knows nothing of them. A parser gets a subclass of it, and of the command around it, with one group more
for each algorithm in `SETTINGS`. Files of ours that have not been imported yet are not in there, for they import torch;
`rnas.arguments` imports them where their settings are named, or where help is asked for with ``--search.algorithm``.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import MISSING, Field, field, fields, make_dataclass
from functools import cache, partial
from typing import Any, get_type_hints

from rnas.config import quoted
from rnas.errors import ConfigError
from rnas.search.config import SearchConfig
from rnas.search.settings import SETTINGS

__all__ = ["extended", "search_config"]


def search_config(**settings: Any) -> SearchConfig:
    """A `SearchConfig` that also takes own settings of algorithms, each by the name of its algorithm.

    Raises:
        ConfigError: as `SearchConfig`, and if settings of another algorithm than the chosen one are not its defaults.
    """
    return with_groups(tuple(SETTINGS))(**settings)


def extended(kind: type) -> type:
    """A command's configuration with the own settings of all algorithms known so far; itself where there are none."""
    if not len(SETTINGS):
        return kind
    searches = tuple(name for name, annotation in get_type_hints(kind).items() if annotation is SearchConfig)
    return extended_by(kind, searches, tuple(SETTINGS)) if searches else kind


@cache
def extended_by(kind: type, searches: tuple[str, ...], algorithms: tuple[str, ...]) -> type:
    """The subclass of a command's configuration in which some fields take the own settings of some algorithms."""
    config = with_groups(algorithms)
    usual = {one.name: one for one in fields(kind) if one.name in searches}

    def default(one: Field[Any]) -> SearchConfig:
        before = one.default if one.default_factory is MISSING else one.default_factory()
        return config(**vars(before))

    return make_dataclass(
        kind.__name__,
        [(name, config, field(default_factory=partial(default, one))) for name, one in usual.items()],
        bases=(kind,),
        # The parser looks the names of inherited types up in the class's module.
        namespace={"__doc__": kind.__doc__, "__module__": kind.__module__},
        frozen=True,
        kw_only=True,
    )


@cache
def with_groups(algorithms: tuple[str, ...]) -> type[SearchConfig]:
    """The subclass of `SearchConfig` with a group for each of some algorithms."""
    if not algorithms:
        return SearchConfig
    for name in algorithms:
        if name in {one.name for one in fields(SearchConfig)}:
            raise ConfigError(f"the search algorithm {name!r} cannot have settings: search.{name} is taken")

    def check(self: SearchConfig) -> None:
        SearchConfig.__post_init__(self)
        for name in algorithms:
            if name != self.algorithm:
                refuse_changes(name, getattr(self, name), self.algorithm)

    def reduce(self: SearchConfig) -> tuple[Any, ...]:
        return restore, ({one.name: getattr(self, one.name) for one in fields(self)},)

    described = [f"    {name}: own settings of the algorithm {name}." for name in algorithms]
    return make_dataclass(
        "SearchConfig",
        [(name, SETTINGS[name], field(default_factory=SETTINGS[name])) for name in algorithms],
        bases=(SearchConfig,),
        namespace={
            "__doc__": "\n".join([inspect.cleandoc(SearchConfig.__doc__ or ""), *described]),
            "__module__": SearchConfig.__module__,
            "__post_init__": check,
            "__reduce__": reduce,
        },
        frozen=True,
    )


def restore(settings: Mapping[str, Any]) -> SearchConfig:
    """Restore a pickled configuration in another process, which has loaded the same plug-ins."""
    return search_config(**settings)


def refuse_changes(name: str, settings: Any, chosen: str) -> None:
    """Raise ConfigError if settings of an algorithm that is not chosen are not its defaults."""
    usual = SETTINGS[name]()
    for one in fields(usual):
        came, default = getattr(settings, one.name), getattr(usual, one.name)
        if came != default:
            raise ConfigError(
                f"search.{name}.{one.name}: expected its default, {quoted(default)}, where search.algorithm is "
                f"{chosen!r} and not {name!r}, got {quoted(came)}"
            )
