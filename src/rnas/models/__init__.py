"""Networks that exist: built from a genotype or the zoo with their weights, read from files, exported to them."""

from typing import TYPE_CHECKING

from rnas.lazy import lazily

if TYPE_CHECKING:
    from rnas.models.resolve import LoadedModel, load_model
    from rnas.models.spec import NetworkSpec, load_network
else:
    __getattr__, __dir__ = lazily(
        __name__, {"resolve": ("LoadedModel", "load_model"), "spec": ("NetworkSpec", "load_network")}
    )

__all__ = ["LoadedModel", "NetworkSpec", "load_model", "load_network"]
