"""manifest.json: what a run directory was made for, so that nothing else is mixed into it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import NoneType
from typing import Any

import yaml

from rnas import plugins
from rnas.documents import check_fields
from rnas.errors import RunError
from rnas.reproducibility import arithmetic, differences
from rnas.run import provenance
from rnas.run.files import LARGEST, read_bytes, read_object, write_atomically
from rnas.run.integrity import SEALED, identifying, identity, seal_document

__all__ = [
    "Changes",
    "Judge",
    "has_begun",
    "check_files",
    "check_manifest",
    "compare_sessions",
    "describe",
    "early_stop",
    "now",
    "prepare",
    "read_manifest",
    "refuse",
    "session",
]

#: Settings that differ from those of a run, by their full names: what they were, and what they are now.
Changes = dict[str, tuple[Any, Any]]

#: Looks at a begun run's directory, its manifest and the settings that differ; raises RunError where they may not.
Judge = Callable[[Path, Mapping[str, Any], Changes], None]

#: What of manifest.json is read again, besides when the run was finished.
MANIFEST_TYPES = {"kind": str, "config": dict, "inputs": dict, "seed": int}

#: What a manifest keeps of each process that worked at the run, and of each change of its settings.
LISTS = ("sessions", "changes")

#: What of a manifest, or of the record of a call, pages and tables read where it is there.
SHOWN: dict[str, tuple[type, ...]] = {
    **dict.fromkeys(("kind", "command", "git_commit", "created", "finished"), (str, NoneType)),
    **dict.fromkeys(("config", "inputs", "versions", "hardware", "early_stop"), (dict, NoneType)),
    "git_dirty": (bool, NoneType),
    "seed": (int, NoneType),
}

#: Likewise of the settings in it, and of those of a training. Data that are only named are written as that name.
SETTINGS: dict[str, tuple[type, ...]] = {"data": (dict, str, NoneType), "training": (dict, NoneType)}
TRAINING: dict[str, tuple[type, ...]] = {"attack": (dict, NoneType), "objective": (str, NoneType)}

STOP: dict[str, tuple[type, ...]] = dict.fromkeys(("epoch", "epochs", "patience", "kept"), (int,))


def prepare(
    path: Path, kind: str, config: Mapping[str, Any], *, seed: int, device: str, judge: Judge | None = None
) -> dict[str, Any]:
    """The manifest of a directory: the one that is there, checked, or a new one.

    Arguments and errors are those of `rnas.run.opening.open_run`, which also locks the directory.
    """
    if (path / "manifest.json").exists():
        manifest = read_manifest(path)
        if manifest["kind"] != kind:
            raise RunError(f"{path} holds a run of kind {manifest['kind']!r}, expected {kind!r}; choose another --out")
        if has_begun(path, manifest):
            if changed := changes(identifying(manifest["config"]), identifying(config)):
                (judge or refuse)(path, manifest, changed)
                adopt(path, manifest, config, changed)
            return manifest
    # config.yaml alone is what a run killed while being made leaves behind.
    elif others := sorted(item.name for item in path.iterdir() if item.name[0] != "." and item.name != "config.yaml"):
        raise RunError(f"{path} is not a run directory (no manifest.json, but {others[0]}); choose another --out")
    manifest = describe(kind, config, seed=seed, device=device)
    write_atomically(path / "config.yaml", yaml.safe_dump(dict(config), sort_keys=False))
    write_atomically(path / "manifest.json", seal_document(manifest))
    return manifest


def describe(kind: str, config: Mapping[str, Any], *, seed: int, device: str) -> dict[str, Any]:
    """A new manifest: what is asked of this process, and all that a number needs beside it."""
    commit, dirty = provenance.git_state()
    return {
        "kind": kind,
        "config": dict(config),
        "inputs": {},
        "seed": seed,
        "command": provenance.command_line(),
        "git_commit": commit,
        "git_dirty": dirty,
        "versions": provenance.versions(),
        **plugins.recorded(),
        "hardware": provenance.hardware(device),
        "sessions": [],
        "created": now(),
        "finished": None,
    }


def session(device: str) -> dict[str, Any]:
    """The record of a process that works at a run: when, by which command, how it computes."""
    commit, dirty = provenance.git_state()
    return {
        "begun": now(),
        "command": provenance.command_line(),
        "git_commit": commit,
        "git_dirty": dirty,
        "arithmetic": arithmetic(device),
    }


def compare_sessions(path: Path, manifest: Mapping[str, Any]) -> str:
    """That the last process of a run does not compute as the first, in a line; empty if it does.

    Args:
        path: the run directory.
        manifest: its manifest, with the session of this process.
    """
    first, *_, last = [entry.get("arithmetic") for entry in manifest["sessions"]]
    changed = differences(first, last)
    if not changed:
        return ""
    return f"{path} was begun with {changed}: its numbers may differ from those of an uninterrupted run"


def has_begun(path: Path, manifest: Mapping[str, Any]) -> bool:
    """Whether a run, or a stage in one of its folders, has logged a step, saved a state, or suggested a trial."""
    files = [
        file
        for name in ("metrics.jsonl", "checkpoint.pt", "journal.log")
        for file in (path / name, *path.glob(f"*/{name}"))
    ]
    return manifest["finished"] is not None or any(file.exists() and file.stat().st_size > 0 for file in files)


def read_manifest(path: Path) -> dict[str, Any]:
    """Read a run directory's manifest.

    Raises:
        RunError: if there is none, or it is damaged.
    """
    file = path / "manifest.json"
    manifest = read_object(file, finite=False)
    if manifest is None:
        came = "a file, expected a run directory" if path.is_file() else "not a run directory: it has no manifest.json"
        raise RunError(f"{path} is {came}")
    for key, kind in MANIFEST_TYPES.items():
        if key not in manifest or not isinstance(manifest[key], kind):
            came = type(manifest[key]).__name__ if key in manifest else "nothing"
            raise RunError(f"{file} is damaged: expected {key!r} of type {kind.__name__}, got {came}")
    for key in LISTS:
        if not (isinstance(kept := manifest.get(key, []), list) and all(isinstance(item, dict) for item in kept)):
            raise RunError(f"{file} is damaged: expected {key!r} to be a list of objects")
    if "finished" not in manifest:
        raise RunError(f"{file} is damaged: 'finished' is missing")
    if manifest["config"].get("seed", manifest["seed"]) != manifest["seed"]:
        raise RunError(f"{file} is damaged: its seed is {manifest['seed']}, its settings have another")
    check_manifest(manifest, str(file))
    return manifest


def check_manifest(manifest: Mapping[str, Any], where: str) -> None:
    """Make sure that what pages and tables show of a manifest, or of the record of a call, can be shown.

    Args:
        manifest: of any version, or of a folder that has none.
        where: the file, for errors.

    Raises:
        RunError: if a part is of another type.
    """
    check_fields(manifest, SHOWN, where)
    config = manifest.get("config") or {}
    check_fields(config, SETTINGS, where)
    check_fields(config.get("training") or {}, TRAINING, where)
    if stop := manifest.get("early_stop"):
        check_fields(stop, STOP, where)


def check_files(path: Path, manifest: Mapping[str, Any]) -> None:
    """Make sure that the files in a directory are the ones that its finished run left.

    Raises:
        RunError: if one is missing, damaged or another run's.
    """
    recorded = manifest.get("files", {})
    for name in (*recorded, *SEALED):
        try:
            read_bytes(path / name, limit=LARGEST)
        except FileNotFoundError as error:
            if name in recorded:
                raise RunError(f"there is no {path / name}") from error


def changes(before: Mapping[str, Any], now: Mapping[str, Any], prefix: str = "") -> Changes:
    """The settings that differ between two configurations, by their full names."""
    found: Changes = {}
    for key in [*before, *(key for key in now if key not in before)]:
        old, new = before.get(key), now.get(key)
        if isinstance(old, dict) and isinstance(new, dict):
            found |= changes(old, new, f"{prefix}{key}.")
        elif old != new:
            found[f"{prefix}{key}"] = (old, new)
    return found


def refuse(path: Path, manifest: Mapping[str, Any], changed: Changes) -> None:  # noqa: ARG001 - a Judge
    """Raise RunError on the first setting that differs."""
    key, (old, new) = next(iter(changed.items()))
    raise RunError(
        f"{path} was made with {key} = {str(old)[:80]}, now {str(new)[:80]}: choose another --out, "
        f"or continue it with --config {path}/config.yaml"
    )


def adopt(path: Path, manifest: dict[str, Any], config: Mapping[str, Any], changed: Changes) -> None:
    """Go on with changed settings: the manifest keeps what they were, when they changed, and what was finished."""
    change = {
        "when": now(),
        "command": provenance.command_line(),
        "before": {key: old for key, (old, _) in changed.items()},
        "finished": manifest["finished"],
        "identity": identity(manifest),
    }
    for name in ("early_stop", "files"):
        manifest.pop(name, None)
    manifest |= {"config": dict(config), "changes": [*manifest.get("changes", []), change], "finished": None}
    write_atomically(path / "manifest.json", seal_document(manifest))
    write_atomically(path / "config.yaml", yaml.safe_dump(dict(config), sort_keys=False))


def early_stop(manifest: Mapping[str, Any]) -> str:
    """That a training stopped before its last epoch, in words; empty if it did not."""
    stop = manifest.get("early_stop")
    if not stop:
        return ""
    return (
        f"stopped early after epoch {stop['epoch']} of {stop['epochs']}: robust accuracy of the validation images did "
        f"not rise for {stop['patience']} epoch{'s' if stop['patience'] > 1 else ''}; kept: epoch {stop['kept']}"
    )


def now() -> str:
    """The time, in UTC, as ISO 8601 to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")
