"""Where the work is done."""

from __future__ import annotations

import torch

from rnas import parallel
from rnas.errors import ConfigError

__all__ = ["select_device"]


def select_device(name: str) -> torch.device:
    """The device of a name.

    Args:
        name: "auto" for the accelerator that torch sees, else the CPU; or a torch device such as "cpu" or "cuda:1".
            Of several processes each takes an accelerator of its own, so the device has no number then.

    Raises:
        ConfigError: if torch knows no such device or this machine has none.
    """
    accelerator = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
    if name == "auto":
        name = accelerator.type if accelerator else "cpu"
    here = f"this machine has cpu{f' and {accelerator.type}' if accelerator else ' only'}"
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ConfigError(
            f"device: expected auto, cpu or an accelerator such as cuda:0, got {name!r}; {here}"
        ) from error
    if device.type != "cpu" and (accelerator is None or device.type != accelerator.type):
        raise ConfigError(f"device: {name!r} is not available; {here}")
    if device.type != "cpu" and parallel.size() > 1:
        if ":" in name:
            raise ConfigError(f"device: expected auto, cpu or {device.type} with several processes, got {name!r}")
        device = torch.device(device.type, parallel.local_rank())
    if device.type != "cpu" and (device.index or 0) >= torch.accelerator.device_count():
        raise ConfigError(
            f"device: {name!r} is not available; this machine has {torch.accelerator.device_count()} of them"
        )
    return device
