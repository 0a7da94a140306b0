"""Names for things that can be chosen: one decorator to register, one lookup error that lists the choices.

There is one way to add to what can be chosen: a decorator on the item, in its own file, and a line in the room's
catalogue that imports the file. A registry imports its catalogue when it is first read, so that whoever holds it sees
all of it, and nobody waits for what is not asked for.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Generic, TypeVar

from rnas.errors import ConfigError, UnknownNameError, nearest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["Lookup", "Named", "Registry"]

Item = TypeVar("Item")


class Lookup(Generic[Item]):
    """A mapping from names to items of one kind; what fills it by decoration is in its subclasses.

    Tests under `tests/common` iterate over the registries, so that registering an item enrols it in them.

    Args:
        kind: what the items are, as it should read in an error ("network", "search algorithm").
        catalogue: the module whose import registers all of ours; None where the registry's own module does.
    """

    def __init__(self, kind: str, catalogue: str | None = None) -> None:
        self.kind = kind
        self._package = "" if catalogue is None else catalogue.rpartition(".")[0] + "."
        self._catalogue = catalogue
        self._items: dict[str, Item] = {}

    def add(self, name: str, item: Item, *, module: str) -> None:
        """Make an item available as `name`.

        Args:
            name: what to call it.
            item: the item.
            module: where it is registered; what is not of the registry's own package comes after all that is.

        Raises:
            ConfigError: if the name is taken.
        """
        if not module.startswith(self._package):
            self._fill()
        if name in self._items:
            raise ConfigError(f"the {self.kind} {name!r} is registered already")
        self._items[name] = item

    def _fill(self) -> None:
        """Import the catalogue, once."""
        catalogue, self._catalogue = self._catalogue, None
        if catalogue is None:
            return
        try:
            importlib.import_module(catalogue)
        except BaseException:
            self._catalogue = catalogue  # half a registry is none
            raise

    def __getitem__(self, name: str) -> Item:
        """Look an item up.

        Raises:
            UnknownNameError: if no item has that name; the message lists the choices.
        """
        self._fill()
        if name not in self._items:
            raise UnknownNameError(f"no {self.kind} is called {name!r}{nearest(name, self._items)}")
        return self._items[name]

    def __contains__(self, name: object) -> bool:
        self._fill()
        return name in self._items

    def __iter__(self) -> Iterator[str]:
        self._fill()
        return iter(self._items)

    def __len__(self) -> int:
        self._fill()
        return len(self._items)


class Registry(Lookup[Item]):
    """The items are what is decorated: classes, or functions."""

    def register(self, name: str) -> Callable[[Item], Item]:
        """Decorate an item to make it available as `name`.

        Raises:
            ConfigError: if the name is taken.
        """

        def add(item: Item) -> Item:
            self.add(name, item, module=getattr(item, "__module__", ""))
            return item

        return add


class Named(Lookup[Item]):
    """The items are made by what is decorated: a class that is called with the name."""

    def register(self, *names: str) -> Callable[[Callable[[str], Item]], Callable[[str], Item]]:
        """Decorate a class: an instance becomes available under each name.

        Raises:
            ConfigError: if a name is taken.
        """

        def add(make: Callable[[str], Item]) -> Callable[[str], Item]:
            for name in names:
                self.add(name, make(name), module=make.__module__)
            return make

        return add
