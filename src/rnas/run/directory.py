"""A run directory: what was asked for, on what, how it went, and where to go on.

    manifest.json     configuration, versions, commit, seed, hardware, command, when begun and finished
    config.yaml       the full configuration; `--config` with it repeats the run
    metrics.jsonl     one line a measurement, in order; the same values as TensorBoard events beside it
    checkpoint.pt     the last complete state, written atomically

Opening the directory of a killed run continues it: the checkpoint is loaded and the metrics are cut back to it, so
that the final files are those of an uninterrupted run. Opening a finished one repeats nothing, unless its results are
gone: then the last checkpoint gives them again. A run that failed before its first step holds nothing to continue: its
directory is removed, or where it was there before, made anew, with other settings if so asked.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rnas import parallel
from rnas.errors import DivergenceError, RnasError, RunError
from rnas.run.files import write_atomically
from rnas.run.integrity import identity, seal_document
from rnas.run.manifest import check_files, compare_sessions, now, session
from rnas.run.metrics import MetricsLog
from rnas.terminal import warn

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Run"]


class Run:
    """An open run directory. Made by `rnas.run.opening.open_run`, which also locks it.

    Args:
        path: the directory.
        manifest: the content of manifest.json.
        device: where it computes.
    """

    def __init__(self, path: Path, manifest: dict[str, Any], device: str) -> None:
        self.path = path
        self.manifest = manifest
        self.device = device
        self._metrics = MetricsLog(path)
        #: Results in formats without a place for a seal.
        self._unsealed = [self._metrics.path]
        self._session_is_kept = True
        # Seconds of work up to the checkpoint that this process went on from, and a clock that never steps back.
        self._worked, self._opened = 0.0, time.monotonic()

    def complete(self, read: Callable[[Path], object]) -> bool:
        """Whether the run has ended and its results are still there; if not, the caller is to go on with it.

        Args:
            read: reads the results in the directory; raises an RnasError if one is missing or damaged.

        Raises:
            RunError: if results are gone, and so is the state from which they could be made again.
        """
        done = self.manifest["finished"] is not None and parallel.from_first(lambda: self._intact(read))
        if not done:
            self._begin_session()
        return done

    def _begin_session(self) -> None:
        """Note that this process works at the run, and say where it does not compute as the one that began it."""
        self.manifest["sessions"] = [*self.manifest.get("sessions", []), session(self.device)]
        self._session_is_kept = False
        if len(self.manifest["sessions"]) > 1 and (words := compare_sessions(self.path, self.manifest)):
            warn(words)

    def _intact(self, read: Callable[[Path], object]) -> bool:
        try:
            read(self.path)
            check_files(self.path, self.manifest)
        except RnasError as error:
            # What logs no step, such as a random search, is made again from its settings.
            if self._metrics.path.exists() or (self.path / "checkpoint.pt").exists():
                self._check_checkpoint(error)
            warn(f"{error}; {self.path} was finished: making it again")
            return False
        return True

    def _check_checkpoint(self, problem: RnasError) -> None:
        """Raise RunError if the results, lost by a problem, cannot be made again without training anew."""
        path = self.path / "checkpoint.pt"
        try:
            if not path.exists():
                raise RunError(f"there is no {path}")
            self.load_checkpoint()
        except RunError as error:
            reason = str(error).partition(";")[0]  # without its advice, which is for runs that have not finished
            raise RunError(
                f"{problem}, and {reason}: restore one of the two from a copy, or choose another --out"
            ) from error

    @property
    def identity(self) -> str:
        """A hash of all that decides the results: settings and recorded inputs."""
        return identity(self.manifest)

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
            self._write_manifest()
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
        try:
            self._metrics.add(kind, step, epoch, values)
        except OSError as error:
            reason = error.strerror or error
            raise RunError(
                f"cannot write {self._metrics.path}: {reason}; to go on from: {self.last_checkpoint()}"
            ) from error
        self._keep_session()

    def _keep_session(self) -> None:
        """Write the session down, once: not before its first step, for until then the run may be refused."""
        if not self._session_is_kept:
            self._write_manifest()
            self._session_is_kept = True

    def save_checkpoint(self, state: Mapping[str, Any]) -> None:
        """Write the state from which `load_checkpoint` goes on.

        Raises:
            RunError: if it cannot be written; the previous checkpoint is then still there.
        """
        from rnas.run.checkpoints import save_checkpoint

        self._keep_session()
        about = {"run": self.identity, **self._metrics.extent()}
        save_checkpoint(self.path / "checkpoint.pt", {**state, **about, "seconds": self.seconds}, about)

    @property
    def seconds(self) -> float:
        """Time that went into the run as it is now, over all processes that it was continued by, without lost work."""
        return round(self._worked + time.monotonic() - self._opened, 3)

    def load_checkpoint(self) -> dict[str, Any] | None:
        """The last saved state, or None if there is none; cuts metrics.jsonl back to it.

        Raises:
            RunError: if the checkpoint is damaged or belongs to another run, or lines of metrics.jsonl are lost.
        """
        from rnas.run.checkpoints import load_checkpoint

        path = self.path / "checkpoint.pt"
        state = load_checkpoint(path) if path.exists() else None
        # Settings that were changed since the checkpoint were judged to fit it.
        earlier = [change.get("identity") for change in self.manifest.get("changes", [])]
        if state is not None and state.get("run") not in (self.identity, *earlier):
            raise RunError(f"{path} belongs to another run: its settings or its images are not those of {self.path}")
        self._metrics.return_to(state, path)
        seconds = (state or {}).get("seconds")
        self._worked = float(seconds) if isinstance(seconds, float) else 0.0
        return state

    @contextmanager
    def step(self, step: int, advise: Callable[[], str]) -> Iterator[None]:
        """Make errors inside, of numbers that are no longer finite, name the step, the last good state and a remedy.

        Args:
            step: the iteration, from 0.
            advise: what to choose instead, where the error does not say it itself.

        Raises:
            DivergenceError: instead of one without these, or of an attack's ArithmeticError.
        """
        try:
            yield
        except (DivergenceError, ArithmeticError) as error:
            remedy = (error.remedy if isinstance(error, DivergenceError) else None) or advise()
            raise DivergenceError(
                f"step {step}: {error}; the last good state is {self.last_checkpoint()}; going on from there would end "
                f"here again: choose {remedy}, and another --out"
            ) from error

    def last_checkpoint(self) -> str:
        """Where the last complete state is, in words."""
        path = self.path / "checkpoint.pt"
        return str(path) if path.exists() else "the start: no checkpoint was written yet"

    def write(self, name: str, text: str) -> None:
        """Write a result file of lines, atomically; its checksum will stand in the manifest of the finished run."""
        write_atomically(self.path / name, text)
        self._unsealed.append(self.path / name)

    def write_json(self, name: str, document: Mapping[str, Any]) -> None:
        """Write a result file as JSON, atomically, with its checksum in it."""
        write_atomically(self.path / name, seal_document(document, self.identity))

    def write_tensors(self, name: str, tensors: Mapping[str, Tensor]) -> None:
        """Write a result file as safetensors, atomically, with its checksum in it."""
        from rnas.run.checkpoints import save_tensors

        save_tensors(self.path / name, tensors, run=self.identity)

    def finish(self) -> None:
        """Mark the run as finished; opening it again repeats nothing."""
        self.manifest |= {"seconds": self.seconds, "finished": now()}
        present = [path for path in self._unsealed if path.exists()]
        self.manifest["files"] = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in present}
        self._write_manifest()

    def _write_manifest(self) -> None:
        write_atomically(self.path / "manifest.json", seal_document(self.manifest))

    def close(self) -> None:
        """Flush and close the event file."""
        self._metrics.close()
