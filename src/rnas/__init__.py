"""rnas: find and prove adversarially robust neural networks.

Data flows one way: spaces -> supernets -> search -> Genotype -> networks -> training -> evaluation -> reports.
The subpackages are imported when they are first used, so that `import rnas` stays free of torch.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from rnas.genotype import Genotype

if TYPE_CHECKING:
    from torch import nn

__version__ = "0.1.0"
__all__ = ["Genotype", "load"]

_SUBPACKAGES = (
    "attacks",
    "data",
    "evaluation",
    "networks",
    "recipes",
    "reports",
    "search",
    "spaces",
    "supernets",
    "training",
    "vulnerability",
)


def load(model: str | Path) -> nn.Module:
    """A trained network as a plain torch module, ready for any attack or evaluation.

    Args:
        model: a directory that `rnas train` wrote.

    Returns:
        A module from float images in [0, 1], shape (N, C, H, W), to logits (N, classes): on the CPU, in evaluation
        mode; its gradients reach the images.

    Raises:
        RunError: if there is no network, no weights yet, or a damaged file.
        ModelError: if the weights do not fit the network; names the first that does not.
    """
    from rnas.networks.spec import load_network

    return load_network(Path(model))


def __getattr__(name: str) -> ModuleType:
    if name in _SUBPACKAGES:
        return importlib.import_module(f"rnas.{name}")
    raise AttributeError(f"module 'rnas' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_SUBPACKAGES])
