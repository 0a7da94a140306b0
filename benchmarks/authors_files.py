"""How `authors.py` reads the code of others, gives it the same weights and images, and keeps the differences."""

from __future__ import annotations

import ast
import copy
import io
import warnings
from collections import namedtuple
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, redirect_stdout
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast
from unittest import mock

import numpy as np
import torch
from torch import Tensor, nn, optim
from torch.nn import functional as F

#: Of float64, after passes through deep networks.
ROUNDING = 1e-9
LAYERS = (nn.Conv2d, nn.BatchNorm2d, nn.Linear)


class Report:
    """The rows of the table.

    Args:
        repository: whose code is compared.
        revision: its commit.
        seed: of weights, images and random numbers.
    """

    def __init__(self, repository: str, revision: str, seed: int) -> None:
        self.seed = seed
        self.common = {"repository": repository, "revision": revision}
        self.rows: list[dict[str, Any]] = []

    def add(self, subject: str, compared: str, ours: Tensor, theirs: Tensor, at_most: float | None = ROUNDING) -> None:
        """Add the largest difference, relative to the largest value of theirs."""
        scale = float(theirs.detach().abs().amax())
        assert scale > 0, f"{subject}, {compared}: nothing to compare, all is 0"
        self.note(subject, compared, float((ours - theirs).detach().abs().amax()) / scale, at_most)

    def note(self, subject: str, compared: str, difference: float, at_most: float | None) -> None:
        """Add a difference that was computed elsewhere; without a bound for a deviation that is named."""
        row = {"subject": subject, "compared": compared, "difference": difference, "at_most": at_most}
        self.rows.append({**self.common, **row, "seed": self.seed})


def take(path: Path, *names: str, **given: Any) -> SimpleNamespace:
    """Functions, classes and constants of a file of theirs, all or these, without its imports and other statements.

    Args:
        path: the file.
        names: what to take.
        given: what its imports would have given, besides torch and NumPy under their usual names.
    """
    kept: list[ast.stmt] = []
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            defined = {node.name}
        elif isinstance(node, ast.Assign):
            defined = {target.id for target in node.targets if isinstance(target, ast.Name)}
        else:
            continue
        if not names or defined & set(names):
            kept.append(node)
    usual = {"torch": torch, "nn": nn, "F": F, "optim": optim, "np": np, "Variable": torch.autograd.Variable}
    namespace = {**usual, "deepcopy": copy.deepcopy, "namedtuple": namedtuple, "copy": copy, **given}
    exec(compile(ast.Module(kept, []), str(path), "exec"), namespace)
    return SimpleNamespace(**namespace)


@contextmanager
def stand_ins() -> Iterator[None]:
    """Their code computes on the CPU, in float64, silently."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    with ExitStack() as stack:
        for kind in (Tensor, nn.Module):
            stack.enter_context(mock.patch.object(kind, "cuda", lambda self, *_, **__: self))
        stack.enter_context(redirect_stdout(io.StringIO()))
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore")
        try:
            yield
        finally:
            torch.set_default_dtype(before)


def give_weights(ours: nn.Module | list[nn.Module], theirs: nn.Module) -> None:
    """Copy what layers know, in the order of the layers; what only theirs have becomes zero."""
    parts = ours if isinstance(ours, list) else [ours]
    sources = [layer for part in parts for layer in part.modules() if isinstance(layer, LAYERS)]
    targets = [layer for layer in theirs.modules() if isinstance(layer, LAYERS)]
    for source, target in zip(sources, targets, strict=True):
        state = source.state_dict()
        for name, tensor in target.state_dict().items():
            value = state.get(name, torch.zeros_like(tensor))
            assert value.shape == tensor.shape, f"{name}: {tuple(value.shape)} and {tuple(tensor.shape)}"
            tensor.copy_(value)


def fresh(network: nn.Module, seed: int) -> nn.Module:
    """A network with random affine parameters and statistics as well, and nothing normalised before it."""
    generator = torch.Generator().manual_seed(seed)
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d):
            for name, tensor in layer.state_dict().items():
                if name in ("weight", "running_var"):
                    tensor.copy_(0.5 + torch.rand(tensor.shape, generator=generator))
                elif name in ("bias", "running_mean"):
                    tensor.copy_(0.2 * torch.randn(tensor.shape, generator=generator))
    normalise = cast("Any", network).normalise
    normalise.mean.zero_()
    normalise.deviation.fill_(1)
    return network


def batch(seed: int, count: int = 4, size: int = 32, channels: int = 3) -> tuple[Tensor, Tensor]:
    """Random images and labels of ten classes.

    The pixels keep away from 0 and 1, where our starts of TRADES and MART are clipped and the authors' are not.
    """
    generator = torch.Generator().manual_seed(seed)
    images = 0.1 + 0.8 * torch.rand(count, channels, size, size, generator=generator, dtype=torch.float64)
    return images, torch.randint(10, (count,), generator=generator)


def flat(tensors: Any) -> Tensor:
    """Tensors as one vector."""
    return torch.cat([tensor.detach().flatten().double() for tensor in tensors])
