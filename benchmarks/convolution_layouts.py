"""Look for convolutions that torch's CPU library computes wrongly, or outside of their memory, on this processor.

    python benchmarks/convolution_layouts.py [--share 1.0] [--seed 0] [--batch 32] [--pixels 8] [--csv FILE]

Each case is one convolution with its gradients in images and weights, a few times, in a process of its own, whose
memory glibc checks (MALLOC_CHECK_=3 of libc_malloc_debug.so; Linux). The outcome is "agrees" with the same convolution
in float64 and PyTorch's default layout, "differs", "aborts", or "refused" where torch raises an error. A share below 1
draws that part of the cases. DNNL_MAX_CPU_ISA=AVX2 in the environment imitates an older processor where oneDNN can.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
from collections import Counter
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import NamedTuple

import torch
from rich.progress import track
from torch import Tensor
from torch.nn import functional as F

from rnas.reports.ledger import csv_text
from rnas.run.files import write_atomically
from rnas.run.provenance import origin

CHECKED = {"LD_PRELOAD": "libc_malloc_debug.so.0", "MALLOC_CHECK_": "3", "OMP_NUM_THREADS": "1"}
OUTCOMES = ("agrees", "differs", "refused")
ROUNDS = 3

#: Largest difference, as a share of the largest value: sums of some hundred products, rounded.
TOLERANCE = {"float32": 1e-4, "bfloat16": 0.05}


class Case(NamedTuple):
    """A convolution, its layout and its precision."""

    kernel: int
    stride: int
    dilation: int
    groups: int
    in_channels: int
    out_channels: int
    layout: str
    dtype: str


def cases() -> Iterator[Case]:
    """All cases; dilation only where there is something to dilate, groups only where they divide the channels."""
    for kernel, stride, dilation, channels in product((1, 2, 3, 5), (1, 2, 3), (1, 2), range(1, 17)):
        if kernel == 1 and dilation > 1:
            continue
        for layout, dtype in product(("channels_last", "contiguous"), TOLERANCE):
            for out_channels in sorted({1, 5, 8, channels}):
                yield Case(kernel, stride, dilation, 1, channels, out_channels, layout, dtype)
            for groups in sorted({channels, *(count for count in (2, 4) if channels % count == 0)} - {1}):
                yield Case(kernel, stride, dilation, groups, channels, channels, layout, dtype)


def convolve(images: Tensor, weight: Tensor, case: Case) -> tuple[Tensor, ...]:
    """The convolution of a case, and its gradients in images and weight."""
    images, weight = images.detach().requires_grad_(), weight.detach().requires_grad_()
    padding = case.dilation * (case.kernel // 2)
    result = F.conv2d(images, weight, None, case.stride, padding, case.dilation, case.groups)
    gradient = torch.randn(result.shape, generator=torch.Generator().manual_seed(1)).to(result)
    return result.detach(), *torch.autograd.grad(result, (images, weight), gradient)


def examine(case: Case, batch: int, pixels: int) -> str:
    """One of OUTCOMES."""
    dtype = getattr(torch, case.dtype)
    layout = torch.channels_last if case.layout == "channels_last" else torch.contiguous_format
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(batch, case.in_channels, pixels, pixels, generator=generator).to(dtype)
    shape = (case.out_channels, case.in_channels // case.groups, case.kernel, case.kernel)
    weight = torch.randn(shape, generator=generator).to(dtype)
    exact = convolve(images.double(), weight.double(), case)
    try:
        for _ in range(ROUNDS):
            found = convolve(images.to(memory_format=layout), weight.to(memory_format=layout), case)
    except RuntimeError:
        return "refused"
    share = max(
        float((ours - theirs).abs().max() / theirs.abs().max()) for ours, theirs in zip(found, exact, strict=True)
    )
    return "agrees" if share <= TOLERANCE[case.dtype] else "differs"


def outcome(case: Case, batch: int, pixels: int) -> str:
    """The outcome of a case in a process of its own."""
    child = os.fork()
    if child == 0:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # glibc's last words
        os._exit(OUTCOMES.index(examine(case, batch, pixels)))
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return "aborts" if status < 0 else OUTCOMES[status]


def main() -> None:
    """Examine the cases and print, and write if so asked, what does not agree."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--share", type=float, default=1.0, help="part of the cases that is drawn, in (0, 1]")
    parser.add_argument("--seed", type=int, default=0, help="of the draw")
    parser.add_argument("--batch", type=int, default=32, help="images")
    parser.add_argument("--pixels", type=int, default=8, help="height and width of the images")
    parser.add_argument("--csv", type=Path, help="where to write a row a kind of case and outcome")
    arguments = parser.parse_args()
    if any(os.environ.get(name) != value for name, value in CHECKED.items()):
        # The allocator is chosen when a process begins.
        os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, **CHECKED})
    torch.set_num_threads(1)
    everything = list(cases())
    drawn = random.Random(arguments.seed).sample(everything, max(1, round(arguments.share * len(everything))))
    rows: Counter[tuple[object, ...]] = Counter()
    for case in track(sorted(drawn), description="convolutions"):
        found = outcome(case, arguments.batch, arguments.pixels)
        if found != "agrees":
            print(found, *case._asdict().items())
        grouped = "none" if case.groups == 1 else "depthwise" if case.groups == case.in_channels else "some"
        rows[(case.kernel, case.stride, case.dilation, grouped, case.layout, case.dtype, found)] += 1
    totals: Counter[str] = Counter()
    for key, count in rows.items():
        totals[str(key[-1])] += count
    print(", ".join(f"{name}: {count}" for name, count in totals.most_common()))
    keys = ("kernel", "stride", "dilation", "groups", "layout", "dtype", "outcome")
    lines = [
        {**dict(zip(keys, key, strict=True)), "cases": count, **origin("cpu")}
        for key, count in sorted(rows.items(), key=str)
    ]
    if arguments.csv:
        write_atomically(arguments.csv, csv_text(lines))


if __name__ == "__main__":
    main()
