"""rnas: find and prove adversarially robust neural networks.

Data flows one way: spaces -> supernets -> search -> Genotype -> networks -> training -> evaluation -> reports.
The subpackages are imported when they are first used, so that `import rnas` stays free of torch.
"""

import importlib
from types import ModuleType

from rnas.genotype import Genotype

__version__ = "0.1.0"
__all__ = ["Genotype"]

_SUBPACKAGES = (
    "attacks",
    "corruptions",
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


def __getattr__(name: str) -> ModuleType:
    if name in _SUBPACKAGES:
        return importlib.import_module(f"rnas.{name}")
    raise AttributeError(f"module 'rnas' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_SUBPACKAGES])
