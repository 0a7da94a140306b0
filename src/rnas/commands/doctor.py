"""`rnas doctor`: whether this installation and this machine can do the work, and what to type where they cannot.

Nothing is imported that is looked at, torch neither: a broken package is what this is for.
"""

from __future__ import annotations

import os
import platform
import re
import shutil
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from rnas import __version__, plugins
from rnas.errors import ConfigError
from rnas.terminal import tell

__all__ = ["Finding", "doctor", "examine"]

#: Below it a small run does not fit; bytes.
LEAST_MEMORY = 1 << 30
LEAST_DISK = 2 << 30

HELP = """\
usage: rnas doctor

Look at this installation and this machine: versions, device, cores, memory, disk, extras, plug-ins.
A line that begins with !! is a problem, and says what to do. Ends with 0 if there is none, with 1 if there is.
"""


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Args:
        what: what it is.
        found: what was found.
        remedy: what to do; empty where all is well.
        problem: whether something will fail; what has a remedy and is no problem is only missing.
    """

    what: str
    found: str
    remedy: str = ""
    problem: bool = False

    def __str__(self) -> str:
        mark = "!!" if self.problem else "--" if self.remedy else "ok"
        return f"{mark} {self.what:<16} {self.found}{f': {self.remedy}' if self.remedy else ''}"


def doctor(arguments: Sequence[str]) -> int:
    """`rnas doctor`: a line for each finding.

    Returns:
        0 if nothing is wrong, else 1.

    Raises:
        ConfigError: if it is given anything.
    """
    if list(arguments) in (["-h"], ["--help"]):
        print(HELP, end="")
        return 0
    if arguments:
        raise ConfigError(f"rnas doctor takes nothing, got {' '.join(arguments)}")
    findings = list(examine())
    for finding in findings:
        tell(str(finding))
    problems = sum(finding.problem for finding in findings)
    tell(f"{problems} problem{'s' if problems != 1 else ''}" if problems else "all is well: rnas run quickstart")
    return 1 if problems else 0


def examine(place: Path | None = None) -> Iterator[Finding]:
    """All findings, in the order in which they are told.

    Args:
        place: where runs would be written; None for the working directory.
    """
    yield Finding("rnas", f"{__version__}, {Path(__file__).parents[1]}")
    yield Finding("Python", f"{platform.python_version()}, {sys.executable}")
    yield from packages()
    yield from devices()
    yield cores()
    yield memory()
    yield disk(place or Path.cwd())
    yield from extras()
    yield from installed_plugins()


def requirements() -> dict[str, list[tuple[str, str]]]:
    """What the package needs, by its extra ("" for always): names of packages, and the least version of each."""
    try:
        lines = metadata.requires("rnas") or []
    except metadata.PackageNotFoundError:
        lines = []
    found: dict[str, list[tuple[str, str]]] = {"": []}
    for line in lines:
        name = re.match(r"[\w.-]+", line)
        least = re.search(r">=\s*([\w.]+)", line)
        extra = re.search(r"extra\s*==\s*['\"]([\w-]+)['\"]", line)
        if name is not None and name[0] != "rnas":
            found.setdefault(extra[1] if extra else "", []).append((name[0], least[1] if least else "0"))
    return found


def packages() -> Iterator[Finding]:
    """The packages without which nothing works: one line if all are there, one more for each that is not."""
    needed = requirements()[""]
    if not needed:
        yield Finding("packages", "rnas is not installed", "python -m pip install .", problem=True)
    for name, least in needed:
        version = version_of(name)
        if version is None or numbers(version) < numbers(least):
            found = "missing" if version is None else f"{version} is older than {least}"
            yield Finding(name, found, f"python -m pip install '{name}>={least}'", problem=True)
    shown = ("torch", "numpy", "datasets", "pyautoattack", "scikit-learn", "pyarrow")
    yield Finding("packages", ", ".join(f"{name} {version_of(name) or 'missing'}" for name in shown))


def version_of(package: str) -> str | None:
    """The installed version of a package, read without importing it; None where there is none."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def numbers(version: str) -> tuple[int, ...]:
    """The numbers with which a version begins: (2, 13) for "2.13.0rc1+cpu" and "2.13"."""
    found = [int(part) for part in re.findall(r"\d+", version.partition("+")[0])[:3]]
    while found and not found[-1]:
        found.pop()
    return tuple(found)


def devices() -> Iterator[Finding]:
    """What computes: a GPU that torch was built for, or the CPU."""
    build = (version_of("torch") or "").partition("+")[2]
    cards = nvidia_cards()
    if not cards:
        yield Finding("device", f"cpu ({platform.machine()}); no NVIDIA driver was found")
    elif build == "cpu":
        remedy = "python -m pip install --force-reinstall torch --index-url https://download.pytorch.org/whl/cu128"
        yield Finding("device", f"{cards}, but torch is built for CPUs only", remedy, problem=True)
    else:
        yield Finding("device", cards)


def nvidia_cards(root: Path = Path("/proc/driver/nvidia")) -> str:
    """The GPUs that the driver lists, in words; empty where there is none."""
    names = [
        line.partition(":")[2].strip()
        for file in sorted(root.glob("gpus/*/information"))
        for line in file.read_text(encoding="utf-8", errors="replace").splitlines()
        if line.startswith("Model:")
    ]
    return ", ".join(f"{names.count(name)} x {name}" for name in dict.fromkeys(names))


def cores() -> Finding:
    """The cores that this process may use, and whether they are busy."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    load = os.getloadavg()[0]
    found = f"{usable} usable of {os.cpu_count()}, load {load:.1f}"
    busy = "others work here: --threads 1 is then faster for small networks" if load > usable + 0.5 else ""
    return Finding("cores", found, busy)


def memory(file: Path = Path("/proc/meminfo")) -> Finding:
    """The memory that is free, where the system says."""
    try:
        lines = dict(line.split(":", 1) for line in file.read_text(encoding="utf-8").splitlines() if ":" in line)
        total, free = (int(lines[key].split()[0]) << 10 for key in ("MemTotal", "MemAvailable"))
    except (OSError, KeyError, ValueError, IndexError):
        return Finding("memory", "this system does not say")
    found = f"{gibibytes(free)} free of {gibibytes(total)}"
    remedy = "end other programs, or choose smaller batches and --data.limit"
    return Finding("memory", found, remedy, problem=True) if free < LEAST_MEMORY else Finding("memory", found)


def disk(place: Path) -> Finding:
    """The disk that runs would be written to."""
    free = shutil.disk_usage(place).free
    found = f"{gibibytes(free)} free in {place}"
    if not os.access(place, os.W_OK):
        return Finding("disk", f"{place} cannot be written", "change to a folder of yours, or give --out", problem=True)
    if free < LEAST_DISK:
        return Finding("disk", found, "make room, or give --out on another disk", problem=True)
    return Finding("disk", found)


def gibibytes(size: int) -> str:
    """Bytes in words."""
    return f"{size / (1 << 30):.1f} GiB"


def extras() -> Iterator[Finding]:
    """What only some commands need."""
    uses: dict[str, str] = {"onnx": "ONNX in rnas export", "tune": "rnas tune", "cluster": "--engine ray"}
    for extra, use in uses.items():
        missing = [name for name, _ in requirements().get(extra, []) if version_of(name) is None]
        if missing:
            yield Finding(f"rnas[{extra}]", f"for {use}: not installed", f"python -m pip install 'rnas[{extra}]'")
        else:
            yield Finding(f"rnas[{extra}]", f"for {use}: installed")


def installed_plugins() -> Iterator[Finding]:
    """Plug-ins that installed packages bring, each imported, for one that fails is told with every command."""
    for entry in metadata.entry_points(group=plugins.GROUP):
        try:
            entry.load()
        except Exception as error:
            remedy = f"update or remove the package that brings it ({type(error).__name__}: {error})"
            yield Finding("plug-in", f"{entry.name} fails", remedy, problem=True)
        else:
            yield Finding("plug-in", f"{entry.name} ({entry.value})")
