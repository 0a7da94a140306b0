"""Names that a package exports without importing torch until one of them is used (PEP 562).

A package imports them for type checkers and finds them by `lazily` for everyone else::

    if TYPE_CHECKING:
        from rnas.search.loop import search
    else:
        __getattr__, __dir__ = lazily(__name__, {"loop": ("search",)})

So a type checker knows what each name is, and that there are no others.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

__all__ = ["lazily"]


def lazily(package: str, exports: Mapping[str, Sequence[str]]) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Make a package's ``__getattr__`` and ``__dir__``.

    Args:
        package: name of the package, its ``__name__``.
        exports: name of each module in the package -> what of it is exported; nothing for the module itself.
    """
    module_of = {name: module for module, names in exports.items() for name in names or (module,)}

    def find(name: str) -> Any:
        if name not in module_of:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        module = importlib.import_module(f"{package}.{module_of[name]}")
        return getattr(module, name) if exports[module_of[name]] else module

    def names() -> list[str]:
        return sorted({*vars(importlib.import_module(package)), *module_of})

    return find, names
