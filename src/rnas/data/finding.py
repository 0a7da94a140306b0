"""What a name or path means: a known name, a folder, or a data set on the hub."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from rnas.data import folders
from rnas.errors import DataError, UnknownNameError, nearest

if TYPE_CHECKING:
    from rnas.data.sources import Source

__all__ = ["HUB_DATASETS", "find"]

# Name -> hub id and, after a colon, configuration.
HUB_DATASETS = {
    "cifar10": "uoft-cs/cifar10",
    "cifar100": "uoft-cs/cifar100",
    "svhn": "ufldl-stanford/svhn:cropped_digits",
}


def find(source: str) -> Source:
    """Find what a name, a hub id or a path means, in this order: known name, existing path, hub id.

    Args:
        source: as in `DataConfig.source`, except ``"digits"``, which needs no finding.

    Raises:
        UnknownNameError: if it is none of the three.
        DataError: if it is a path where nothing usable is, or a hub id that the hub does not give.
    """
    if source in HUB_DATASETS:
        return _on_hub(source, HUB_DATASETS[source])
    path = Path(source).expanduser()
    if source and path.exists():
        return folders.find(path)
    if source.startswith((".", "/", "~")) or "\\" in source or source.count("/") > 1 or source.endswith(".parquet"):
        raise DataError(f"{source}: no such file or folder")
    if re.fullmatch(r"[\w.-]+/[\w.-]+(:[\w.-]+)?", source):
        return _on_hub(source, source)
    raise UnknownNameError(
        f"no data set is called {source!r}{nearest(source, ['digits', *HUB_DATASETS])}; "
        "a hub id (owner/name) or a path to an existing folder is possible too"
    )


def _on_hub(name: str, hub_id: str) -> Source:
    # Here, because `datasets` takes seconds to import, and local data that are in the cache do not need it.
    from rnas.data import hub

    return hub.find(name, hub_id)
