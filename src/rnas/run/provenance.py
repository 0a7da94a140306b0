"""The origin of a number: versions, commit, hardware, command."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shlex
import subprocess
import sys
from pathlib import Path

__all__ = ["command_line", "git_state", "hardware", "origin", "processor", "versions"]


def versions() -> dict[str, str]:
    """Versions of Python, of this package and of what its numbers depend on."""
    packages = ("rnas", "torch", "numpy", "datasets", "pyautoattack", "scikit-learn")
    return {"python": platform.python_version(), **{name: importlib.metadata.version(name) for name in packages}}


def origin(device: str) -> dict[str, str | int | None]:
    """The columns that a benchmark's row needs to be repeated: command, commit, hardware, threads, torch.

    Args:
        device: as of `hardware`.
    """
    import torch

    commit, changed = git_state()
    return {
        "command": command_line(),
        "commit": f"{commit}{' with changes' if changed else ''}",
        **hardware(device),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
    }


def git_state() -> tuple[str | None, bool | None]:
    """The commit that this package's sources are at, and whether they differ from it; None outside a checkout."""

    def git(*arguments: str) -> str | None:
        folder = Path(__file__).parent
        try:
            answer = subprocess.run(
                ["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=True, timeout=10
            )
        except (OSError, subprocess.SubprocessError):
            return None
        return answer.stdout.strip()

    # An installed copy may lie inside somebody else's repository; its commit would say nothing about this code.
    if git("ls-files", "--error-unmatch", Path(__file__).name) is None:
        return None, None
    changes = git("status", "--porcelain", "--", "..")
    return git("rev-parse", "HEAD"), None if changes is None else bool(changes)


def hardware(device: str) -> dict[str, str | int | None]:
    """The machine, in words.

    Args:
        device: the device that is used, for example "cuda:0".
    """
    name = None
    if device != "cpu":
        import torch

        name = torch.cuda.get_device_name(device) if device.startswith("cuda") else device
    return {"device": device, "cpu": cpu_name(), "cores": os.cpu_count(), "gpu": name}


def processor() -> str:
    """The kind of processor, on which the order of sums depends: its maker, family and model where the system says."""
    information = Path("/proc/cpuinfo")
    said: dict[str, str] = {}
    if information.is_file():
        for line in information.read_text(encoding="utf-8", errors="replace").splitlines():
            key, _, value = line.partition(":")
            said.setdefault(key.strip(), value.strip())
    words = [said.get("vendor_id", ""), *(f"{key} {said[key]}" for key in ("cpu family", "model") if key in said)]
    return " ".join(word for word in words if word) or platform.processor() or platform.machine()


def cpu_name() -> str:
    information = Path("/proc/cpuinfo")
    if information.is_file():
        for line in information.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def command_line() -> str:
    """The command of this process, as one would type it."""
    program = [Path(sys.argv[0]).name or "python"]
    if program == ["__main__.py"]:
        program = ["python", "-m", "rnas"]
        if int(os.environ.get("WORLD_SIZE", "1")) > 1:
            machines, processes = (os.environ[name] for name in ("GROUP_WORLD_SIZE", "LOCAL_WORLD_SIZE"))
            program = ["torchrun", "--nnodes", machines, "--nproc-per-node", processes, "-m", "rnas"]
    return shlex.join([*program, *sys.argv[1:]])
