"""Weights that anybody has written, read as data: safetensors, and what `torch.save` made of a state dict.

A checkpoint of another program may hold its state dict under a name, beside an epoch or an optimizer. Only tensors and
plain values are unpickled (`weights_only=True`), so reading runs no code; a pickled module is refused.
"""

from __future__ import annotations

import pickle
import re
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from reprlib import repr as short
from typing import Any

import torch
from torch import Tensor

from rnas.errors import RunError
from rnas.run.checkpoints import read_weights

__all__ = ["StoredWeights", "read_any_weights"]

#: How deep in a checkpoint a state dict may lie.
DEPTH = 3
FUNCTION = "or name a function of yours that builds and loads it, module:function"


@dataclass(frozen=True)
class StoredWeights:
    """The tensors of a file, by name.

    Args:
        state: dense tensors on the CPU.
        under: where in the file they were, for example ``"state_dict"``; empty if they are all of it.
    """

    state: dict[str, Tensor]
    under: str = ""


def read_any_weights(path: Path) -> StoredWeights:
    """Read weights; what the file holds decides, not its suffix.

    Raises:
        RunError: if the file is missing, damaged, no weights, or could run code.
    """
    if not path.is_file():
        inside = path / "weights.safetensors"
        hint = f"; did you mean {inside}?" if inside.is_file() else ""
        raise RunError(f"no weights at {path}{hint}")
    try:
        with path.open("rb") as file:
            beginning = file.read(2)
    except OSError as error:
        raise RunError(f"{path} cannot be read: {error.strerror}") from error
    # A zip archive, or a bare pickle as torch wrote before 1.6.
    if beginning == b"PK" or beginning[:1] == b"\x80":
        return read_pickled(path)
    return StoredWeights(read_weights(path))


def read_pickled(path: Path) -> StoredWeights:
    """The state dict in a file of `torch.save`."""
    document = unpickle(path)
    found = list(state_dicts(document))
    if not found:
        kind = f"the keys {short(list(document))}" if isinstance(document, Mapping) else type(document).__name__
        raise RunError(f"{path} holds no state dict but {kind}; save one with torch.save(model.state_dict(), ...)")
    if len(found) > 1:
        names = " and ".join(under[:60] for under, _ in found[:5])
        raise RunError(f"{path} holds the weights {names}; save the one that you mean alone, {FUNCTION}")
    under, state = found[0]
    size = path.stat().st_size
    for name, tensor in state.items():
        # A tensor may repeat one stored number a billion times.
        if tensor.layout != torch.strided or tensor.is_meta or tensor.is_quantized or tensor.nbytes > size:
            raise RunError(f"{path}: {name[:200]!r} is not stored as dense numbers; save it so, {FUNCTION}")
    return StoredWeights({name: tensor.detach() for name, tensor in state.items()}, under)


def unpickle(path: Path) -> Any:
    """Tensors and plain values of a pickle, nothing else."""
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                names = {name.partition("/")[2] for name in archive.namelist()}
                # torch writes checksums and does not compare them.
                damaged = archive.testzip()
            if damaged:
                raise RunError(f"{path} is damaged: {damaged[:200]!r} in it has another checksum")
            if "constants.pkl" in names or "archive_format" in names:
                raise RunError(f"{path} is a program and no weights: give it alone, without a network before it")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return torch.load(path, map_location="cpu", weights_only=True)
    except RunError:
        raise
    except pickle.UnpicklingError as error:
        # torch says it in a page; the name of what it met is enough.
        met = re.search(r"GLOBAL ([\w.]{1,100})", str(error))
        raise RunError(
            f"{path} holds {f'{met[1]}, not only' if met else 'more than'} tensors and plain values, and loading it "
            f"might run code: save its weights alone with torch.save(model.state_dict(), ...), {FUNCTION}"
        ) from error
    except Exception as error:  # the parser of a damaged file may raise anything
        raise RunError(f"{path} is damaged or truncated, or no file of torch.save") from error


def state_dicts(document: Any, under: str = "", depth: int = 0) -> Iterator[tuple[str, dict[str, Tensor]]]:
    """The mappings from names to tensors in a document, each with where it was; an optimizer's keys are no names."""
    if not isinstance(document, Mapping) or depth > DEPTH or not all(isinstance(key, str) for key in document):
        return
    if tensors := {key: item for key, item in document.items() if isinstance(item, Tensor)}:
        yield under, tensors
        return
    for key, item in document.items():
        yield from state_dicts(item, f"{under}.{key}" if under else key, depth + 1)
