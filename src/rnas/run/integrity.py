"""Checksums inside files: whether a file is what was written, and which run wrote it.

A file that decides a result holds a seal, as a value of its own format: a key of a JSON document, the metadata of
safetensors and parquet files, the comment of a checkpoint's archive.

    rnas-sha256:<64 hexadecimal digits>:<64 digits, the identity of the run that wrote it>

The first digits are the SHA-256 of the whole file with zeros in their place. So a file and its checksum are written by
one rename, and no kill can part them; the checksum is verified before anything else of the file is read; and a copy of
the file takes it along. A seal is no signature: it finds accidents, not forgers.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from rnas.documents import check_yaml, text_of
from rnas.errors import RunError

__all__ = [
    "ADDED",
    "KEY",
    "SEALED",
    "Seal",
    "blank",
    "check_owner",
    "identifying",
    "identity",
    "owner_of",
    "read_comment",
    "seal",
    "seal_document",
    "verify",
]

#: The name of the value that holds the seal, in formats that have names.
KEY = "checksum"

_MARK = b"rnas-sha256:"
_DIGITS = 64
_SEAL = re.compile(_MARK + rb"([0-9a-f]{64})(?::([0-9a-f]{64}))?")

#: Files, besides results.json, that are sealed in every run whose manifest is.
SEALED = ("alpha.safetensors", "genotype.json", "model.json", "splits.json", "weights.safetensors")

#: Settings that say where and how comfortably, not what: a run may be continued with others. A genotype's path is one,
#: and those of models, because `Run.record` keeps what the files hold.
ELSEWHERE = ("out", "device", "checkpoint_every", "genotype", "models", "engine", "address", "cpus", "gpus", "workers")

#: Settings that older versions did not have, by group and name, and what those did: their runs can be continued.
ADDED: dict[tuple[str, str], object] = {
    ("fast_at", "mode"): "evaluation",
    **dict.fromkeys((("ibp", "warmup"), ("crown_ibp", "warmup")), 0.1),
    **dict.fromkeys((("ibp", "ramp"), ("ibp", "kappa"), ("crown_ibp", "ramp"), ("crown_ibp", "kappa")), 0.5),
    ("crown_ibp", "beta"): 0.0,
    ("gaussian", "sigma"): "0.25",
    ("smooth_adv", "sigma"): "0.25",
    ("smooth_adv", "draws"): 2,
    ("smooth_adv", "eps"): "64/255",
    ("smooth_adv", "steps"): 10,
    ("defensive_distillation", "teacher"): None,
    ("defensive_distillation", "temperature"): 20.0,
    ("", "deterministic"): False,
    ("shortlist", "rule"): "bound",
    ("shortlist", "rungs"): 1,
    ("shortlist", "eta"): 3,
    ("shortlist", "generations"): 1,
    ("shortlist", "least_size"): "0%",
    ("shortlist", "channels"): None,
    ("shortlist", "cells"): None,
}


class Seal(NamedTuple):
    """What a file says of itself.

    Args:
        digest: its SHA-256, in hexadecimal, as the module says.
        run: the identity of the run that wrote it; empty where no run did.
    """

    digest: str
    run: str


def blank(run: str = "") -> str:
    """A seal without its digits, to be put into a file's content before `seal` fills them in.

    Args:
        run: the identity of the run that writes the file; empty for none.
    """
    return f"{_MARK.decode()}{'0' * _DIGITS}{f':{run}' if run else ''}"


def seal(content: bytes) -> bytes:
    """The content with the digits of its blank seal filled in."""
    start = content.rindex(_MARK) + len(_MARK)
    digest = hashlib.sha256(content).hexdigest().encode()
    return content[:start] + digest + content[start + _DIGITS :]


def seal_document(document: Mapping[str, Any], run: str = "") -> bytes:
    """A JSON document as the text of a file, its seal last.

    Args:
        document: JSON values; a seal that it was read with is replaced.
        run: as of `blank`.
    """
    content = {key: value for key, value in document.items() if key != KEY}
    return seal((json.dumps({**content, KEY: blank(run)}, indent=1) + "\n").encode())


def verify(content: bytes) -> Seal | None:
    """Check a file's content against its seal.

    Returns:
        The seal; None if there is none, as in files of older versions and of others.

    Raises:
        ValueError: if the content is not what was sealed.
    """
    position = content.rfind(_MARK)
    if position < 0:
        return None
    found = _SEAL.match(content, position)
    if found is not None:
        start = position + len(_MARK)
        view = memoryview(content)
        digest = hashlib.sha256(view[:start])
        digest.update(b"0" * _DIGITS)
        digest.update(view[start + _DIGITS :])
        if digest.hexdigest().encode() == found[1]:
            return Seal(found[1].decode(), (found[2] or b"").decode())
    raise ValueError("its checksum does not fit its content")


def read_comment(path: Path) -> dict[str, Any]:
    """Read what a checkpoint says of itself; empty where there is none, or it is damaged or of an older version."""
    try:
        # Of a FIFO or a device there is no end.
        content = path.read_bytes() if path.is_file() else b""
        if verify(content) is None:
            return {}
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            about = json.loads(archive.comment)
    except (OSError, ValueError, RecursionError, zipfile.BadZipFile):
        return {}
    return about if isinstance(about, dict) else {}


def check_owner(path: Path, content: bytes, found: Seal | None, manifest: Mapping[str, Any]) -> None:
    """Check a sound file against the manifest beside it.

    Args:
        path: the file.
        content: of the file.
        found: its seal, verified.
        manifest: the content of the manifest.json in the same folder.

    Raises:
        RunError: if the file is not the one that this run wrote.
    """
    beside = path.with_name("manifest.json")
    recorded = _part(manifest, "files").get(path.name)
    if path.name == "config.yaml":
        _check_settings(path, content, _part(manifest, "config"))
    elif recorded is not None and hashlib.sha256(content).hexdigest() != recorded:
        raise RunError(
            f"{path} is not what {beside} says that the run wrote: it was damaged or edited, or one of the two is of "
            "another run; restore it from a copy"
        )
    owner = identity(manifest)
    if found is None:
        # An older version may have evaluated a network that this one trained.
        older = path.name == "results.json" and manifest.get("kind") in ("train", "evaluate")
        if KEY in manifest and path.name in (*SEALED, "results.json") and not older:
            raise RunError(f"{path} is damaged or of another run: it has no checksum, and {beside} has one")
    elif found.run and owner and found.run != owner:
        raise RunError(f"{path} and {beside} are of two runs: restore the one that belongs here, or remove {path}")


def _check_settings(path: Path, content: bytes, config: Mapping[str, Any]) -> None:
    text = text_of(content, str(path))
    check_yaml(text, str(path))
    try:
        settings = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise RunError(f"{path} is damaged: no settings in YAML ({' '.join(str(error).split())[:100]})") from error
    if config and settings != config:
        raise RunError(
            f"{path} does not hold the settings of the manifest.json beside it: it was damaged or edited, or one of "
            "the two is of another run; to use other settings, edit a copy in another folder"
        )


def owner_of(*names: str) -> str:
    """An owner, in the form of an identity, for a file that belongs to something besides a run."""
    return hashlib.sha256("\n".join(names).encode()).hexdigest()


def identity(manifest: Mapping[str, Any]) -> str:
    """The owner that the files of a run name.

    Args:
        manifest: of the run.

    Returns:
        A hash of all that decides the results: settings and recorded inputs. An evaluation in a folder of its own may
        be extended by other settings; there it is the fingerprint of the model, and empty where none is recorded.
    """
    config, inputs = _part(manifest, "config"), _part(manifest, "inputs")
    if manifest.get("kind") == "evaluate":
        return str(inputs.get("model", ""))
    decisive = {"config": identifying(config), "inputs": inputs}
    return hashlib.sha256(json.dumps(decisive, sort_keys=True).encode()).hexdigest()


def identifying(config: Mapping[str, Any], group: str = "") -> dict[str, Any]:
    """The part of a configuration, or of a group of its settings, that decides the results.

    Older versions had no group of which nothing is left.
    """
    decisive = {
        key: identifying(value, key) if isinstance(value, Mapping) else value
        for key, value in config.items()
        if key not in ELSEWHERE and ((group, key) not in ADDED or value != ADDED[group, key])
    }
    return {key: value for key, value in decisive.items() if value != {}}


def _part(manifest: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """A part of a manifest, empty where it has none; anyone may call a file so, and put anything in."""
    part = manifest.get(key)
    return part if isinstance(part, Mapping) else {}
