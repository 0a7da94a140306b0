"""YAML files that come with a package and are chosen by name: recipes, and budgets of studies."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from rnas.errors import UnknownNameError, nearest

__all__ = ["file_names", "named_file"]


def file_names(package: str) -> list[str]:
    """The names of a package's YAML files, sorted."""
    return sorted(path.stem for path in Path(str(resources.files(package))).glob("*.yaml"))


def named_file(package: str, name: str, missing: str) -> Path:
    """One of a package's YAML files.

    Args:
        package: which holds it.
        name: of the file, without its ending.
        missing: how the error begins where there is none of that name, such as "no recipe".

    Raises:
        UnknownNameError: if there is no such file; the message lists the names.
    """
    names = file_names(package)
    if name not in names:
        raise UnknownNameError(f"{missing} is called {name!r}{nearest(name, names)}")
    return Path(str(resources.files(package))) / f"{name}.yaml"
