"""Data sets from the Hugging Face hub."""

from __future__ import annotations

import contextlib
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import datasets
import huggingface_hub
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, RepositoryNotFoundError

from rnas.data.sources import Source, as_parts, hashed, one_line, part_of
from rnas.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["find"]

# Its progress functions are not declared as exported.
_utils: Any = huggingface_hub.utils

# Seconds to wait for the hub's first answer. Its own retries would take half a minute to say that there is no network.
PATIENCE = 5.0


def find(name: str, hub_id: str) -> Source:
    """The data set with a hub id; with HF_HUB_OFFLINE=1, as it was downloaded before.

    Args:
        name: what to call it.
        hub_id: ``owner/name`` or ``owner/name:configuration``.

    Raises:
        DataError: if the hub cannot be reached, or has no such data set or configuration.
    """
    repository, _, configuration = hub_id.partition(":")
    if not huggingface_hub.is_offline_mode():
        _ask(repository, f"{name}: no such folder, and" if name == hub_id else f"{name}:")
    with _quiet(), _hub_errors(hub_id):
        builder = datasets.load_dataset_builder(repository, name=configuration or None)
    return Source(
        name=name,
        origin=hub_id,
        fingerprint=hashed(repository, builder.config.name, builder.hash),
        open=lambda: _open(builder, hub_id),
        # Where the hub's libraries keep images that they do not put into tables.
        folders=(Path(datasets.config.HF_DATASETS_CACHE), Path(huggingface_hub.constants.HF_HUB_CACHE)),
    )


def _ask(repository: str, beginning: str) -> None:
    """One quick question, so that a missing network or a misspelt id is known at once."""
    try:
        huggingface_hub.HfApi().dataset_info(repository, timeout=PATIENCE)
    except (RepositoryNotFoundError, HFValidationError) as error:
        raise DataError(f"{beginning} the Hugging Face hub has no public data set {repository!r}") from error
    except HfHubHTTPError as error:
        raise DataError(f"{beginning} the Hugging Face hub refuses {repository!r} ({one_line(error)})") from error
    except Exception as error:  # Which class it is depends on the HTTP library that the hub's client uses.
        raise DataError(
            f"{beginning} the Hugging Face hub cannot be reached ({one_line(error)}); give a folder of parquet "
            "files or of images instead, or set HF_HUB_OFFLINE=1 to use an earlier download"
        ) from error


def _open(builder: Any, hub_id: str) -> dict[str, Callable[[], Any]]:
    """Download what is not there yet and find the parts."""
    print(f"fetching {hub_id} from the Hugging Face hub", file=sys.stderr, flush=True)
    with _quiet(), _hub_errors(hub_id):
        builder.download_and_prepare()
        found = {part: split for split in builder.info.splits if (part := part_of(split))}
        return {part: partial(_read, builder, split, hub_id) for part, split in as_parts(found, hub_id).items()}


def _read(builder: Any, split: str, hub_id: str) -> Any:
    with _quiet(), _hub_errors(hub_id):
        return builder.as_dataset(split=split)


@contextlib.contextmanager
def _hub_errors(hub_id: str) -> Iterator[None]:
    """Turn whatever the hub's libraries raise into one line; they share no base class."""
    try:
        yield
    except DataError:
        raise
    except Exception as error:
        raise DataError(f"{hub_id}: cannot be loaded from the Hugging Face hub ({one_line(error)})") from error


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Silence the progress bars and logs of the hub's libraries, and leave them as they were."""
    verbosities = datasets.logging.get_verbosity(), _utils.logging.get_verbosity()
    had_bars = not datasets.are_progress_bars_disabled(), not _utils.are_progress_bars_disabled()
    datasets.logging.set_verbosity(datasets.logging.CRITICAL)
    _utils.logging.set_verbosity(datasets.logging.CRITICAL)
    datasets.disable_progress_bars()
    _utils.disable_progress_bars()
    try:
        yield
    finally:
        datasets.logging.set_verbosity(verbosities[0])
        _utils.logging.set_verbosity(verbosities[1])
        if had_bars[0]:
            datasets.enable_progress_bars()
        if had_bars[1]:
            _utils.enable_progress_bars()
