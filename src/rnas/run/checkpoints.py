"""Checkpoints: written whole or not at all, and read without running code from them."""

from __future__ import annotations

import io
import json
import pickle
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn

from rnas.errors import ModelError, RunError
from rnas.run.files import LARGEST, read_bytes, read_sealed, write_atomically
from rnas.run.integrity import KEY, blank
from rnas.run.integrity import seal as sealed

__all__ = [
    "fill",
    "load_checkpoint",
    "load_weights",
    "read_weights",
    "save_checkpoint",
    "save_tensors",
]


def save_checkpoint(path: Path, state: dict[str, Any], about: Mapping[str, Any] | None = None) -> None:
    """Write tensors and plain values.

    torch's archive has checksums that loading ignores, and none of its own structure; so the comment of the archive
    holds a seal.

    Args:
        path: the file.
        state: nested dictionaries and lists of tensors, numbers, strings and None, nothing else.
        about: JSON values that `rnas.run.integrity.read_comment` reads without torch.

    Raises:
        RunError: if it cannot be written.
    """
    buffer = io.BytesIO()
    torch.save(state, buffer)
    archive, comment = buffer.getvalue(), json.dumps({**(about or {}), KEY: blank()}).encode()
    # The archive ends with the length of its comment, 0.
    write_atomically(path, sealed(archive[:-2] + len(comment).to_bytes(2, "little") + comment))


def load_checkpoint(path: Path, *, device: torch.device | str = "cpu") -> dict[str, Any]:
    """Read a checkpoint.

    Raises:
        RunError: if the file is missing, truncated, damaged, or holds anything but tensors and plain values.
    """
    try:
        content, seal = read_sealed(path, limit=LARGEST)
        if seal is None:
            check_archive(content)
        with warnings.catch_warnings():
            # Of files that are no checkpoint; what follows says so in one line.
            warnings.simplefilter("ignore")
            state = torch.load(io.BytesIO(content), map_location=device, weights_only=True)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise RunError(f"no checkpoint at {path}") from error
    except RunError as error:
        raise RunError(f"{error}; delete it to start this stage again, or restore it from a copy") from error
    except pickle.UnpicklingError as error:
        raise RunError(
            f"{path} is no checkpoint of tensors and plain values, and loading it might run code: refused"
        ) from error
    except (OSError, EOFError, RuntimeError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise RunError(
            f"{path} is damaged or truncated; delete it to start this stage again, or restore it from a copy"
        ) from error
    if not isinstance(state, dict):
        raise RunError(f"{path} holds {type(state).__name__}, expected a checkpoint")
    return state


def check_archive(content: bytes) -> None:
    """Check the sums of an archive without a seal, as older versions wrote it; raises ValueError if one is wrong."""
    if not zipfile.is_zipfile(io.BytesIO(content)):
        return  # what else it is, torch will say
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        if (record := archive.testzip()) is not None:
            raise ValueError(f"the checksum of {record} is wrong")


def save_tensors(
    path: Path, tensors: Mapping[str, Tensor], *, run: str = "", about: Mapping[str, str] | None = None
) -> None:
    """Write tensors as safetensors, with a seal in the header; the same tensors give the same bytes.

    Args:
        path: the file.
        tensors: by name, on any device.
        run: the identity of the run that they belong to; empty for none.
        about: metadata besides the seal.

    Raises:
        RunError: if the file cannot be written.
    """
    state = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    content = save(state, metadata={**(about or {}), KEY: blank(run)})
    write_atomically(path, sealed(_in_order(content)))


def _in_order(content: bytes) -> bytes:
    """A safetensors file with its metadata sorted, for the library writes them in an order of chance."""
    end = 8 + int.from_bytes(content[:8], "little")
    header = json.loads(content[8:end])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)  # the tensors begin at a multiple of 8
    return len(text).to_bytes(8, "little") + text + content[end:]


def read_weights(path: Path) -> dict[str, Tensor]:
    """Read the tensors of a safetensors file, by name.

    Raises:
        RunError: if the file is missing or damaged.
    """
    try:
        return load(read_bytes(path, limit=LARGEST))
    except (FileNotFoundError, NotADirectoryError) as error:
        raise RunError(f"no weights at {path}") from error
    except SafetensorError as error:
        raise RunError(f"{path} is damaged, truncated or no safetensors file") from error


def load_weights(path: Path, network: nn.Module) -> None:
    """Read a network's parameters and buffers from safetensors.

    Raises:
        RunError: if the file is missing or damaged.
        ModelError: if the weights do not fit the network; names the first that does not.
    """
    fill(network, read_weights(path), path)


def fill(
    network: nn.Module, state: Mapping[str, Tensor], path: Path, known_as: Mapping[str, str] | None = None
) -> None:
    """Put tensors into a network, all of whose parameters and buffers they have to be.

    Batch norm's counts of batches may be missing, as in old files: nothing is computed with them.

    Args:
        network: the network.
        state: tensors by the network's names.
        path: the file that they are from, for the error.
        known_as: what the file calls them, where it does so otherwise.

    Raises:
        ModelError: if one is missing, has another shape or kind of number, or has no place in the network.
    """
    known_as = known_as or {}
    expected = network.state_dict()
    given = {name: tensor for name, tensor in expected.items() if name.endswith(".num_batches_tracked")} | dict(state)
    for name, tensor in expected.items():
        if name not in given:
            raise ModelError(f"{path}: the weights of {name!r} are missing")
        known = known_as.get(name, name)[:200]
        if given[name].shape != tensor.shape:
            raise ModelError(
                f"{path}: {known!r} has shape {tuple(given[name].shape)}, the network expects {tuple(tensor.shape)}"
            )
        if given[name].is_floating_point() != tensor.is_floating_point():
            raise ModelError(f"{path}: {known!r} holds {given[name].dtype}, the network expects {tensor.dtype}")
    for name in state:
        if name not in expected:
            raise ModelError(f"{path}: {known_as.get(name, name)[:200]!r} is no part of this network")
    network.load_state_dict(given)
