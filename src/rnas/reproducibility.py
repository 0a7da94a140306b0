"""Arithmetic that repeats: on this processor, and on other ones too (`--deterministic`).

The same command gives the same numbers, bit for bit, on processors of one kind, with as many threads and the same
versions; also if it was killed and continued. Elsewhere sums are taken in another order. They differ in their last bits
at first; a search then soon takes another way and ends with another cell, which is neither better nor worse.

With `deterministic`, one process on a CPU gives the same numbers on every x86-64 processor with AVX2 and FMA (Intel
since 2013, AMD since 2015), with the same versions of Linux's C library and of the packages: one thread; torch's and
MKL's kernels for the oldest processors; no oneDNN and no NNPACK, which choose kernels by processor and cache; and a
square root that is not MKL's, which begins with the processor's own estimate. Older processors lack FMA, which the
functions of the C library use; those of other architectures repeat on their own kind only. What is computed by numpy
and scipy, the corruptions, is left out of the promise. Operation by operation it was checked by emulation of other
processors (docs/log.md); no whole run was.

On an accelerator it is torch's promise (https://pytorch.org/docs/stable/notes/randomness.html): the same numbers on the
same kind of device with the same versions. An operation without a deterministic kernel is refused. Not run on a GPU
yet.
"""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rnas import parallel
from rnas.errors import ConfigError
from rnas.run.provenance import processor

__all__ = ["arithmetic", "choose_kernels", "computing", "differences"]

#: What the libraries read once, when they compute their first number.
KERNELS = {"ATEN_CPU_CAPABILITY": "default", "MKL_CBWR": "COMPATIBLE", "CUBLAS_WORKSPACE_CONFIG": ":4096:8"}


def choose_kernels() -> None:
    """Ask for the kernels of `deterministic`, before torch computes anything."""
    os.environ.update(KERNELS)


@contextmanager
def computing(threads: int | None, *, deterministic: bool, device: str) -> Iterator[None]:
    """Compute with so many CPU threads inside, and with kernels that give the same numbers elsewhere if so asked.

    Args:
        threads: of the CPU; None leaves torch's choice, or one where the numbers are to be the same elsewhere.
        deterministic: whether they are.
        device: where the work is done.

    Raises:
        ConfigError: if this process has computed with other kernels already, is one of several, or meets an operation
            without a deterministic kernel.
    """
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1 if deterministic else threads or before)
    try:
        if deterministic:
            with same_elsewhere(device):
                yield
        else:
            yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def same_elsewhere(device: str) -> Iterator[None]:
    """The kernels of `deterministic` inside. A block inside such a block changes nothing."""
    import torch

    if parallel.size() > 1:
        raise ConfigError(f"deterministic: expected one process, got {parallel.size()}: they add in another order")
    known = {name: os.environ.get(name) for name in KERNELS}
    choose_kernels()
    late = known["ATEN_CPU_CAPABILITY"] == "default" and known["MKL_CBWR"] != "COMPATIBLE"
    if device == "cpu" and (late or torch.backends.cpu.get_cpu_capability() != "DEFAULT"):
        raise ConfigError(
            "deterministic: this process has computed with the kernels of its processor already; start Python with "
            "ATEN_CPU_CAPABILITY=default MKL_CBWR=COMPATIBLE in its environment, as the command line does by itself"
        )
    was, library = torch.are_deterministic_algorithms_enabled(), torch.library.Library("aten", "IMPL")
    with (
        torch.backends.mkldnn.flags(enabled=False),
        torch.backends.nnpack.flags(enabled=False),
        torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False),
    ):
        torch.use_deterministic_algorithms(True)
        replace_sqrt(library)
        try:
            yield
        except RuntimeError as error:
            if found := re.match(r"(\S+) does not have a deterministic implementation", str(error)):
                raise ConfigError(f"deterministic: {found[1]} has no deterministic kernel on {device}") from error
            raise
        finally:
            library._destroy()
            torch.use_deterministic_algorithms(was)


def replace_sqrt(library: Any) -> None:
    """Compute square roots on CPUs from exact operations, as long as a library of torch lives."""

    def sqrt(values: Any) -> Any:
        return values.rsqrt().reciprocal_()

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that a kernel is replaced is what is meant
        library.impl("sqrt", sqrt, "CPU")
        library.impl("sqrt_", lambda values: values.rsqrt_().reciprocal_(), "CPU")
        library.impl("sqrt.out", lambda values, *, out: out.copy_(sqrt(values)), "CPU")


def arithmetic(device: str) -> dict[str, Any]:
    """All that decides the last bits of this process's numbers, for a manifest.

    Args:
        device: where the work is done.
    """
    import torch

    return {
        "processor": processor(),
        "device": torch.device(device).type,
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "threads": torch.get_num_threads(),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
    }


def differences(before: object, here: dict[str, Any]) -> str:
    """Say how this process computes otherwise than an earlier one; empty if both give the same numbers.

    Args:
        before: what `arithmetic` said then; anything else in the manifest of an older version.
        here: what it says now.
    """
    if not isinstance(before, dict):
        return ""
    promised = before.get("deterministic") and here["deterministic"] and here["device"] == "cpu"
    decisive = [name for name in here if name in before and not (name == "processor" and promised)]
    changed = [name for name in decisive if before[name] != here[name]]
    return ", ".join(f"{name} {before[name]}, now {here[name]}" for name in changed)
