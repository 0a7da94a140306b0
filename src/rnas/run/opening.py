"""Open a run directory, for one process or for the several of one run."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rnas import parallel
from rnas.run.directory import Run
from rnas.run.lock import locked
from rnas.run.manifest import Judge, prepare

__all__ = ["open_run"]


class Replica(Run):
    """A run as all processes but the first have it open: nothing that they write is kept.

    Args:
        path: a folder of the process's own, for files that it reads again.
        manifest: the first process's.
        device: where it computes.
        origin: the run directory.
    """

    def __init__(self, path: Path, manifest: dict[str, Any], device: str, origin: Path) -> None:
        super().__init__(path, manifest, device)
        self.origin = origin

    def _begin_session(self) -> None:
        pass

    def log(self, kind: str, *, step: int, epoch: int, **values: Any) -> None:
        pass

    def save_checkpoint(self, state: Mapping[str, Any]) -> None:
        pass

    def last_checkpoint(self) -> str:
        return f"that of {self.origin}"


@contextmanager
def open_run(
    path: Path, kind: str, config: Mapping[str, Any], *, seed: int, device: str, judge: Judge | None = None
) -> Iterator[Run]:
    """Create a run directory, or open it to continue.

    Args:
        path: the directory; made if it does not exist.
        kind: "search", "train" or "run".
        config: the full configuration as plain values.
        seed: the run's seed.
        device: the device in use, for the manifest.
        judge: decides whether a run that was begun may go on with changed settings; None lets none be changed.

    Yields:
        The run, locked against other processes until the context ends. Of several processes of one run
        (`rnas.parallel`) the first has the directory, and the others a `Replica`.

    Raises:
        ConfigError: if the processes of the run were started with different settings.
        RunError: if the directory cannot be written, is in use, holds something else, or was made with other settings.
    """
    parallel.agreed("settings", dict(config))
    if parallel.rank() > 0:
        with tempfile.TemporaryDirectory(prefix="rnas-") as folder:
            yield Replica(Path(folder), parallel.from_first(dict), device, path)
        return
    with locked(path):
        manifest = parallel.from_first(lambda: prepare(path, kind, config, seed=seed, device=device, judge=judge))
        run = Run(path, manifest, device)
        try:
            yield run
        finally:
            run.close()
