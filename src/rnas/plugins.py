"""Code of one's own that adds to what can be chosen: networks, algorithms, spaces, attacks, objectives, metrics.

A plug-in is a Python module that registers what it brings when it is imported (docs/extending.md). Commands import
those that ``--plugin`` names, and the installed ones: entry points of the group ``rnas.plugins``. Nothing else does:
what a file or a run directory names is never imported by itself.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rnas.errors import ConfigError, RunError
from rnas.run.files import manifest_in
from rnas.terminal import warn

__all__ = ["beside_the_user", "load", "load_installed", "recorded", "require", "taken"]

GROUP = "rnas.plugins"

#: What was loaded, in this order: those asked for by name, and the installed ones.
ASKED: list[str] = []
INSTALLED: list[str] = []


def taken(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """The plug-ins that a command line names, wherever in it, and the rest.

    Raises:
        ConfigError: if a name is missing.
    """
    names, rest = [], []
    items = iter(arguments)
    for item in items:
        option, equals, value = item.partition("=")
        if option != "--plugin":
            rest.append(item)
            continue
        value = value if equals else next(items, "")
        if not value or value.startswith("-"):
            raise ConfigError("--plugin: expected a module or a .py file")
        names.append(value)
    return names, rest


def load(names: Sequence[str]) -> None:
    """Import plug-ins, each once.

    Args:
        names: modules, also of the working directory (``"package.module"``), or files (``"own/attack.py"``).

    Raises:
        ConfigError: if there is no such module or file, or its import fails; the message says why in one line.
    """
    for name in names:
        if name in ASKED:
            continue
        try:
            with beside_the_user():
                import_file(Path(name)) if name.endswith(".py") else importlib.import_module(name)
        except ModuleNotFoundError as error:
            # A module that the plug-in itself misses is another fault.
            own = error.name is not None and f"{name}.".startswith(f"{error.name}.")
            raise ConfigError(
                f"--plugin {name}: {'there is no such module' if own else error}; expected a module or a .py file"
            ) from error
        except Exception as error:
            reason = f"{type(error).__name__}: {error}".strip()
            raise ConfigError(f"--plugin {name}: its import failed: {reason}") from error
        except SystemExit as error:
            raise ConfigError(f"--plugin {name}: its import ends the program; put that under a main guard") from error
        ASKED.append(name)


def import_file(path: Path) -> None:
    """Import a file as the module of its name, unless it is that module already."""
    if not path.is_file():
        raise ConfigError("no such file")
    known = sys.modules.get(path.stem)
    if known is not None:
        if Path(getattr(known, "__file__", None) or "").resolve() != path.resolve():
            raise ConfigError(f"a module is called {path.stem!r} already; rename the file")
        return
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise ConfigError("Python cannot import it")
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[path.stem]
        raise


def load_installed() -> None:
    """Import the plug-ins of installed packages; one that fails is told, and costs no command."""
    # Here, for it takes as long to import as all that `rnas --help` needs.
    from importlib import metadata

    for entry in metadata.entry_points(group=GROUP):
        if entry.value in INSTALLED:
            continue
        try:
            entry.load()
        except Exception as error:
            warn(f"warning: the installed plug-in {entry.name} ({entry.value}) failed: {type(error).__name__}: {error}")
            continue
        INSTALLED.append(entry.value)


def recorded() -> dict[str, list[str]]:
    """The record for a manifest: plug-ins that the command named, and installed ones; empty if there are none."""
    return {key: list(names) for key, names in (("plugins", ASKED), ("plugins_installed", INSTALLED)) if names}


def require(folder: Path) -> None:
    """Refuse to work on a run whose command named plug-ins that are not loaded; fine where there is no run.

    Of installed plug-ins, which may have had no part in it, a warning tells.

    Raises:
        RunError: if one is missing; the message says what to add. A damaged manifest is for its readers to tell.
    """
    try:
        manifest = manifest_in(folder)
        asked, there = (list(map(str, manifest.get(key, []))) for key in ("plugins", "plugins_installed"))
    except (RunError, OSError, ValueError, TypeError):
        return
    loaded = {module(name) for name in ASKED + INSTALLED}
    if missing := [name for name in asked if module(name) not in loaded]:
        raise RunError(
            f"{folder} was made with a plug-in that is not loaded: add --plugin {' --plugin '.join(missing)}"
        )
    if missing := [name for name in there if module(name) not in loaded]:
        warn(
            f"warning: {folder} was made where the plug-in {' and '.join(missing)} was installed, which it is not here"
        )


def module(name: str) -> str:
    """The name that a plug-in is known by, wherever its file lies."""
    return Path(name).name if name.endswith(".py") else name


@contextmanager
def beside_the_user() -> Iterator[None]:
    """Imports also look in the working directory, as with `python -m`; a program's own directory is elsewhere."""
    here = str(Path.cwd())
    sys.path.insert(0, here)
    try:
        yield
    finally:
        sys.path.remove(here)
