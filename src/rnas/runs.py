"""A run directory: what was asked for, on what, how it went, and where to go on.

    manifest.json     configuration, versions, commit, seed, hardware, command, when begun and finished
    config.yaml       the full configuration; `--config` with it repeats the run
    metrics.jsonl     one line a measurement, in order; the same values as TensorBoard events beside it
    checkpoint.pt     the last complete state, written atomically

Opening the directory of a killed run continues it: the checkpoint is loaded and the metrics are cut back to it, so
that the final files are those of an uninterrupted run. Opening a finished one repeats nothing.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import filelock
import yaml

from rnas import provenance
from rnas.errors import RunError
from rnas.files import write_atomically

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

__all__ = ["Run", "open_run", "read_manifest"]

#: Settings that say where and how comfortably, not what: a run may be continued with others.
ELSEWHERE = ("out", "device", "checkpoint_every")


class Run:
    """An open run directory. Made by `open_run`, which also locks it.

    Args:
        path: the directory.
        manifest: the content of manifest.json.
    """

    def __init__(self, path: Path, manifest: dict[str, Any]) -> None:
        self.path = path
        self.manifest = manifest
        self.identity = hashlib.sha256(json.dumps(identifying(manifest["config"])).encode()).hexdigest()
        self._metrics = path / "metrics.jsonl"
        self._writer: SummaryWriter | None = None

    @property
    def finished(self) -> bool:
        """Whether the run has ended with all its results."""
        return self.manifest["finished"] is not None

    def log(self, kind: str, *, step: int, epoch: int, **values: Any) -> None:
        """Append a line to metrics.jsonl; plain numbers also go to TensorBoard.

        Args:
            kind: what was measured, for example "theta" or "projection".
            step: the iteration, from 0.
            epoch: the epoch, from 0.
            values: JSON values by name.
        """
        line = json.dumps({"kind": kind, "step": step, "epoch": epoch, **values})
        with self._metrics.open("a", encoding="utf-8") as file:
            file.write(line + "\n")
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
            RunError: if the checkpoint is damaged or belongs to another run.
        """
        from rnas.checkpoints import load_checkpoint

        path = self.path / "checkpoint.pt"
        state = load_checkpoint(path) if path.exists() else None
        if state is not None and state.get("run") != self.identity:
            raise RunError(f"{path} belongs to another run: its configuration is not that of {self.path}/config.yaml")
        if self._metrics.exists():
            with self._metrics.open("rb+") as file:
                file.truncate(state["metrics_bytes"] if state else 0)
        return state

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
        The run, locked against other processes until the context ends.

    Raises:
        RunError: if the directory cannot be written, is in use, holds something else, or was made with other settings.
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
        run = Run(path, prepare(path, kind, config, seed=seed, device=device))
        try:
            yield run
        finally:
            run.close()
    finally:
        lock.release()


def prepare(path: Path, kind: str, config: Mapping[str, Any], *, seed: int, device: str) -> dict[str, Any]:
    """The manifest of the directory: the one that is there, checked, or a new one."""
    if (path / "manifest.json").exists():
        manifest = read_manifest(path)
        if manifest["kind"] != kind:
            raise RunError(f"{path} holds a run of kind {manifest['kind']!r}, expected {kind!r}; choose another --out")
        check_same(path, identifying(manifest["config"]), identifying(config))
        return manifest
    # config.yaml alone is what a run killed while being made leaves behind.
    others = sorted(item.name for item in path.iterdir() if item.name[0] != "." and item.name != "config.yaml")
    if others:
        raise RunError(f"{path} is not a run directory (no manifest.json, but {others[0]}); choose another --out")
    commit, dirty = provenance.git_state()
    manifest = {
        "kind": kind,
        "config": dict(config),
        "seed": seed,
        "command": provenance.command_line(),
        "git_commit": commit,
        "git_dirty": dirty,
        "versions": provenance.versions(),
        "hardware": provenance.hardware(device),
        "created": now(),
        "finished": None,
    }
    write_atomically(path / "config.yaml", yaml.safe_dump(dict(config), sort_keys=False))
    write_atomically(path / "manifest.json", json.dumps(manifest, indent=1) + "\n")
    return manifest


def read_manifest(path: Path) -> dict[str, Any]:
    """Read a run directory's manifest.

    Raises:
        RunError: if there is none, or it is damaged.
    """
    file = path / "manifest.json"
    try:
        manifest = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise RunError(f"{path} is not a run directory: it has no manifest.json") from error
    except (OSError, ValueError) as error:
        raise RunError(f"{file} is damaged: {error}") from error
    missing = {"kind", "config", "seed", "finished"} - set(manifest if isinstance(manifest, dict) else ())
    if missing:
        raise RunError(f"{file} is damaged: {', '.join(sorted(missing))} is missing")
    return dict(manifest)


def identifying(config: Mapping[str, Any]) -> dict[str, Any]:
    """The part of a configuration that decides the results."""
    return {key: value for key, value in config.items() if key not in ELSEWHERE}


def check_same(path: Path, before: Mapping[str, Any], now: Mapping[str, Any], prefix: str = "") -> None:
    """Raise RunError on the first setting that differs."""
    for key in [*before, *(key for key in now if key not in before)]:
        old, new = before.get(key), now.get(key)
        if isinstance(old, dict) and isinstance(new, dict):
            check_same(path, old, new, f"{prefix}{key}.")
        elif old != new:
            raise RunError(
                f"{path} was made with {prefix}{key} = {old}, now {new}: choose another --out, "
                f"or continue it with --config {path}/config.yaml"
            )


def now() -> str:
    """The time, in UTC, as ISO 8601 to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")
