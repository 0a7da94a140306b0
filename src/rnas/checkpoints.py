"""Checkpoints: written whole or not at all, and read without running code from them."""

from __future__ import annotations

import io
import pickle
import warnings
import zipfile
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn

from rnas.errors import ModelError, RunError
from rnas.files import require_regular, write_atomically

__all__ = ["load_checkpoint", "load_weights", "read_weights", "save_checkpoint", "save_weights"]


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Write tensors and plain values.

    Args:
        path: the file.
        state: nested dictionaries and lists of tensors, numbers, strings and None, nothing else.

    Raises:
        RunError: if it cannot be written.
    """
    buffer = io.BytesIO()
    torch.save(state, buffer)
    write_atomically(path, buffer.getvalue())


def load_checkpoint(path: Path, *, device: torch.device | str = "cpu") -> dict[str, Any]:
    """Read a checkpoint.

    Raises:
        RunError: if the file is missing, truncated, damaged, or holds anything but tensors and plain values.
    """
    require_regular(path)
    try:
        with warnings.catch_warnings():
            # Of files that are no checkpoint; what follows says so in one line.
            warnings.simplefilter("ignore")
            state = torch.load(path, map_location=device, weights_only=True)
    except FileNotFoundError as error:
        raise RunError(f"no checkpoint at {path}") from error
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


def save_weights(path: Path, network: nn.Module) -> None:
    """Write a network's parameters and buffers as safetensors.

    Raises:
        RunError: if the file cannot be written.
    """
    state = {name: tensor.detach().cpu().contiguous() for name, tensor in network.state_dict().items()}
    write_atomically(path, save(state))


def read_weights(path: Path) -> dict[str, Tensor]:
    """Read the tensors of a safetensors file, by name.

    Raises:
        RunError: if the file is missing or damaged.
    """
    require_regular(path)
    try:
        return load_file(path)
    except FileNotFoundError as error:
        raise RunError(f"no weights at {path}") from error
    except (OSError, SafetensorError) as error:
        raise RunError(f"{path} is damaged, truncated or no safetensors file") from error


def load_weights(path: Path, network: nn.Module) -> None:
    """Read a network's parameters and buffers from safetensors.

    Raises:
        RunError: if the file is missing or damaged.
        ModelError: if the weights do not fit the network; names the first that does not.
    """
    state = read_weights(path)
    expected = network.state_dict()
    for name, tensor in expected.items():
        if name not in state:
            raise ModelError(f"{path}: the weights of {name!r} are missing")
        if state[name].shape != tensor.shape:
            raise ModelError(
                f"{path}: {name!r} has shape {tuple(state[name].shape)}, the network expects {tuple(tensor.shape)}"
            )
    for name in state:
        if name not in expected:
            raise ModelError(f"{path}: {name!r} is no part of this network")
    network.load_state_dict(state)
