"""Find out what a name or path means: a known name, a folder, or a data set on the hub."""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import TYPE_CHECKING

from rnas.data import folders
from rnas.errors import DataError, UnknownNameError, nearest

if TYPE_CHECKING:
    from rnas.data.sources import Source

__all__ = ["HUB_DATASETS", "check", "find", "warn_of_folder"]

_log = logging.getLogger(__name__)

# Name -> hub id and, after a colon, configuration.
HUB_DATASETS = {
    "cifar10": "uoft-cs/cifar10",
    "cifar100": "uoft-cs/cifar100",
    "svhn": "ufldl-stanford/svhn:cropped_digits",
}


def check(source: str) -> None:
    """Refuse a name or a path that cannot be data, before anything is read or imported for it.

    Args:
        source: as in `DataConfig.source`.

    Raises:
        UnknownNameError: if it is no known name, no path and no hub id.
        DataError: if it is a path where nothing is.
    """
    # An empty name would be the folder here.
    if source in ("digits", *HUB_DATASETS) or (source and Path(source).expanduser().exists()):
        return
    if source.startswith((".", "/", "~")) or "\\" in source or source.count("/") > 1 or source.endswith(".parquet"):
        raise DataError(f"{source}: no such file or folder")
    if not re.fullmatch(r"[\w.-]+/[\w.-]+(:[\w.-]+)?", source):
        raise UnknownNameError(
            f"no data set is called {source!r}{nearest(source, ['digits', *HUB_DATASETS])}; "
            "a hub id (owner/name) or a path to an existing folder is possible too"
        )


def find(source: str) -> Source:
    """Find what a name, a hub id or a path means, in this order: known name, existing path, hub id.

    Args:
        source: as in `DataConfig.source`, except ``"digits"``, which needs no finding.

    Raises:
        UnknownNameError, DataError: as `check`, and if nothing usable is at a path, or the hub does not give the id.
    """
    check(source)
    if source not in HUB_DATASETS and (path := Path(source).expanduser()).exists():
        return folders.find(path)
    try:
        found = _on_hub(source, HUB_DATASETS.get(source, source))
    except DataError as error:
        hint = f"; for the folder {source} here give ./{source}" if Path(source).is_dir() else ""
        raise DataError(f"{error}{hint}") from error
    warn_of_folder(source)
    return found


def warn_of_folder(name: str) -> None:
    """Say so if a folder here is called as a known data set is, which comes first."""
    if Path(name).is_dir():
        _log.warning("rnas: %s is the known data set; the folder of that name here is ./%s", name, name)


def _on_hub(name: str, hub_id: str) -> Source:
    # Here, because `datasets` takes seconds to import, and local data that are in the cache do not need it.
    from rnas.data import hub

    return hub.find(name, hub_id)
