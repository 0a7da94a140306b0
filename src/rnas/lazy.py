"""Names that a package exports without importing torch until one of them is used (PEP 562)."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from typing import Any

__all__ = ["lazily"]


def lazily(package: str, exports: Mapping[str, str]) -> Callable[[str], Any]:
    """Make a package's module-level ``__getattr__``.

    Args:
        package: name of the package, its ``__name__``.
        exports: name of each export -> name of the module in the package that defines it; a module that is exported
            itself maps to its own name.
    """

    def find(name: str) -> Any:
        if name not in exports:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        module = importlib.import_module(f"{package}.{exports[name]}")
        return module if name == exports[name] else getattr(module, name)

    return find
