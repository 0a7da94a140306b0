"""A run directory: what was asked for, on what, how it went, and where to go on.

    manifest.json     configuration, versions, commit, seed, hardware, command, when begun and finished
    config.yaml       the full configuration; `--config` with it repeats the run
    metrics.jsonl     one line a measurement, in order; the same values as TensorBoard events beside it
    checkpoint.pt     the last complete state, written atomically

Opening the directory of a killed run continues it: the checkpoint is loaded and the metrics are cut back to it, so
that the final files are those of an uninterrupted run. Opening a finished one repeats nothing. A run that failed before
its first step holds nothing to continue: it is made anew, with other settings if so asked.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import filelock

from rnas import parallel
from rnas.errors import DivergenceError, RunError
from rnas.files import write_atomically
from rnas.manifests import identifying, now, prepare, read_manifest

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

__all__ = ["Run", "locked", "open_run", "read_manifest"]


class Run:
    """An open run directory. Made by `open_run`, which also locks it.

    Args:
        path: the directory.
        manifest: the content of manifest.json.
    """

    def __init__(self, path: Path, manifest: dict[str, Any]) -> None:
        self.path = path
        self.manifest = manifest
        self._metrics = path / "metrics.jsonl"
        self._writer: SummaryWriter | None = None

    @property
    def finished(self) -> bool:
        """Whether the run has ended with all its results."""
        return self.manifest["finished"] is not None

    @property
    def identity(self) -> str:
        """A hash of all that decides the results: settings and recorded inputs."""
        decisive = {"config": identifying(self.manifest["config"]), "inputs": self.manifest["inputs"]}
        return hashlib.sha256(json.dumps(decisive, sort_keys=True).encode()).hexdigest()

    def record(self, name: str, content: str) -> None:
        """Keep in the manifest what the run is made from, besides its settings.

        Args:
            name: the input, in a word or two: "images".
            content: a fingerprint of it.

        Raises:
            RunError: if the run was begun with another content.
        """
        known = self.manifest["inputs"].get(name)
        if known is None:
            self.manifest["inputs"][name] = content
            self.write_json("manifest.json", self.manifest)
        elif known != content:
            raise RunError(f"{self.path} was begun with other {name} than there are now; choose another --out")

    def log(self, kind: str, *, step: int, epoch: int, **values: Any) -> None:
        """Append a line to metrics.jsonl; plain numbers also go to TensorBoard.

        Args:
            kind: what was measured, for example "theta" or "projection".
            step: the iteration, from 0.
            epoch: the epoch, from 0.
            values: JSON values by name.

        Raises:
            RunError: if the line cannot be written.
        """
        line = json.dumps({"kind": kind, "step": step, "epoch": epoch, **values})
        try:
            with self._metrics.open("a", encoding="utf-8") as file:
                file.write(line + "\n")
        except OSError as error:
            reason = error.strerror or error
            raise RunError(
                f"cannot write {self._metrics}: {reason}; to go on from: {self.last_checkpoint()}"
            ) from error
        if self._writer is None:
            from torch.utils.tensorboard import SummaryWriter

            # Events of steps after the checkpoint are hidden by the viewer, which reads this step as a restart.
            self._writer = SummaryWriter(str(self.path), purge_step=step)
        for name, value in values.items():
            if isinstance(value, (int, float)) and not isinstance(value, bool):
                self._writer.add_scalar(f"{kind}/{name}", value, step)

    def save_checkpoint(self, state: Mapping[str, Any]) -> None:
        """Write the state from which `load_checkpoint` goes on.

        Raises:
            RunError: if it cannot be written; the previous checkpoint is then still there.
        """
        from rnas.checkpoints import save_checkpoint

        size = self._metrics.stat().st_size if self._metrics.exists() else 0
        save_checkpoint(self.path / "checkpoint.pt", {**state, "run": self.identity, "metrics_bytes": size})

    def load_checkpoint(self) -> dict[str, Any] | None:
        """The last saved state, or None if there is none; cuts metrics.jsonl back to it.

        Raises:
            RunError: if the checkpoint is damaged or belongs to another run, or lines of metrics.jsonl are lost.
        """
        from rnas.checkpoints import load_checkpoint

        path = self.path / "checkpoint.pt"
        state = load_checkpoint(path) if path.exists() else None
        if state is not None and state.get("run") != self.identity:
            raise RunError(f"{path} belongs to another run: its settings or its images are not those of {self.path}")
        kept = state["metrics_bytes"] if state else 0
        present = self._metrics.stat().st_size if self._metrics.exists() else 0
        if present < kept:
            raise RunError(
                f"{self._metrics} has lost lines: expected the {kept} bytes up to the last checkpoint, got {present}; "
                f"restore it from a copy, or delete {path} to start this stage again"
            )
        if present > kept:
            with self._metrics.open("rb+") as file:
                file.truncate(kept)
        return state

    @contextmanager
    def step(self, step: int) -> Iterator[None]:
        """Make errors inside, of numbers that are no longer finite, name the step and the last good state.

        Raises:
            DivergenceError: instead of one without these, or of an attack's ArithmeticError.
        """
        try:
            yield
        except (DivergenceError, ArithmeticError) as error:
            raise DivergenceError(f"step {step}: {error}; the last good state is {self.last_checkpoint()}") from error

    def last_checkpoint(self) -> str:
        """Where the last complete state is, in words."""
        path = self.path / "checkpoint.pt"
        return str(path) if path.exists() else "the start: no checkpoint was written yet"

    def write(self, name: str, content: str | bytes) -> None:
        """Write a result file atomically."""
        write_atomically(self.path / name, content)

    def write_json(self, name: str, document: Any) -> None:
        """Write a result file as JSON."""
        self.write(name, json.dumps(document, indent=1) + "\n")

    def finish(self) -> None:
        """Mark the run as finished; opening it again repeats nothing."""
        self.manifest["finished"] = now()
        self.write_json("manifest.json", self.manifest)

    def close(self) -> None:
        """Flush and close the event file."""
        if self._writer is not None:
            self._writer.close()


class Replica(Run):
    """A run as all processes but the first have it open: nothing that they write is kept.

    Args:
        path: a folder of the process's own, for files that it reads again.
        manifest: the first process's.
        origin: the run directory.
    """

    def __init__(self, path: Path, manifest: dict[str, Any], origin: Path) -> None:
        super().__init__(path, manifest)
        self.origin = origin

    def log(self, kind: str, *, step: int, epoch: int, **values: Any) -> None:
        pass

    def save_checkpoint(self, state: Mapping[str, Any]) -> None:
        pass

    def last_checkpoint(self) -> str:
        return f"that of {self.origin}"


@contextmanager
def open_run(path: Path, kind: str, config: Mapping[str, Any], *, seed: int, device: str) -> Iterator[Run]:
    """Create a run directory, or open it to continue.

    Args:
        path: the directory; made if it does not exist.
        kind: "search", "train" or "run".
        config: the full configuration as plain values.
        seed: the run's seed.
        device: the device in use, for the manifest.

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
            yield Replica(Path(folder), parallel.from_first(dict), path)
        return
    with locked(path):
        run = Run(path, parallel.from_first(lambda: prepare(path, kind, config, seed=seed, device=device)))
        try:
            yield run
        finally:
            run.close()


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Make a directory if there is none, and keep other processes out of it until the context ends.

    Raises:
        RunError: if it cannot be written, or another process is in it.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
        lock = filelock.FileLock(path / ".lock", timeout=0)
        lock.acquire()
    except filelock.Timeout as error:
        raise RunError(f"{path} is in use by another process: wait for it, or choose another --out") from error
    except OSError as error:
        raise RunError(f"cannot write to {path}: {error.strerror or error}; choose another --out") from error
    try:
        yield
    finally:
        lock.release()
