"""rnas: find and prove adversarially robust neural networks.

`search`, `train`, `evaluate`, `certify` and `report` are the commands as functions; `load` gives a trained network as a
torch module, `zoo` builds untrained ones.

Data flows one way: spaces -> supernets -> search -> Genotype -> networks -> training -> evaluation -> reports.
The subpackages are imported when they are first used, so that `import rnas` stays free of torch.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from rnas import genotype_texts as genotype_texts  # so that `Genotype.load` reads what other programs print
from rnas.genotype import Genotype
from rnas.lazy import lazily

if TYPE_CHECKING:
    import torch
    from torch import nn

    from rnas import (
        attacks,
        certification,
        commands,
        corruptions,
        data,
        evaluation,
        models,
        networks,
        recipes,
        reports,
        spaces,
        studies,
        supernets,
        tabular,
        training,
        vulnerability,
    )
    from rnas.search.package import SearchPackage
    from rnas.surface import certify, evaluate, report, train, zoo

    search: SearchPackage

__version__ = "0.1.0"
__all__ = [
    "Genotype",
    "load",
    "search",
    "train",
    "evaluate",
    "certify",
    "report",
    "zoo",
    "attacks",
    "certification",
    "commands",
    "corruptions",
    "data",
    "evaluation",
    "models",
    "networks",
    "recipes",
    "reports",
    "spaces",
    "studies",
    "supernets",
    "tabular",
    "training",
    "vulnerability",
]

if not TYPE_CHECKING:
    _FUNCTIONS = ("train", "evaluate", "certify", "report", "zoo")
    _SUBPACKAGES = [name for name in __all__ if name not in ("Genotype", "load", *_FUNCTIONS)]
    __getattr__, __dir__ = lazily(__name__, {**dict.fromkeys(_SUBPACKAGES, ()), "surface": _FUNCTIONS})


def load(model: str | Path, device: torch.device | str = "cpu") -> nn.Module:
    """A trained network as a plain torch module, ready for any attack or evaluation.

    Args:
        model: what `rnas evaluate` takes: a run directory, ``"resnet18:path/to/weights.safetensors"``, a TorchScript or
            torch.export file, or ``"module:function"``. TorchScript files and functions can do more than compute: name
            only those that you trust. Loading anything else runs no code from it.
        device: where the network is put.

    Returns:
        A module from float images in [0, 1], shape (N, C, H, W), to logits (N, classes), in evaluation mode; its
        gradients reach the images.

    Raises:
        RunError: if a run directory or a file is missing, damaged, or something else.
        UnknownNameError: if there is neither a network nor a module of that name.
        ModelError: if the weights do not fit the network, the first that does not is named; or there are none yet.
    """
    from rnas.models.resolve import load_model

    return load_model(str(model), device).network
