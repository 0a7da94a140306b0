"""Names for things that can be chosen: one decorator to register, one lookup error that lists the choices."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

from rnas.errors import UnknownNameError, nearest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["Registry"]

Item = TypeVar("Item")


class Registry(Generic[Item]):
    """A mapping from names to items of one kind, filled by decoration.

    Tests under `tests/common` iterate over the registries, so that registering an item enrols it in them.

    Args:
        kind: what the items are, as it should read in an error ("network", "search algorithm").
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._items: dict[str, Item] = {}

    def register(self, name: str) -> Callable[[Item], Item]:
        """Decorate an item to make it available as `name`.

        Raises:
            ValueError: if the name is taken.
        """

        def add(item: Item) -> Item:
            if name in self._items:
                raise ValueError(f"the {self.kind} {name!r} is registered already")
            self._items[name] = item
            return item

        return add

    def __getitem__(self, name: str) -> Item:
        """Look an item up.

        Raises:
            UnknownNameError: if no item has that name; the message lists the choices.
        """
        if name not in self._items:
            raise UnknownNameError(f"no {self.kind} is called {name!r}{nearest(name, self._items)}")
        return self._items[name]

    def __contains__(self, name: object) -> bool:
        return name in self._items

    def __iter__(self) -> Iterator[str]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)
