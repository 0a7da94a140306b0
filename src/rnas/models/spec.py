"""A network's description in a file, enough to build it again before its weights are loaded."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from rnas.errors import ConfigError, GenotypeError, ModelError, RunError, UnknownNameError
from rnas.genotype import Genotype
from rnas.networks import zoo
from rnas.networks.config import NetworkConfig
from rnas.run.checkpoints import load_weights
from rnas.run.files import require_object, write_atomically
from rnas.run.integrity import seal_document
from rnas.supernets.space import space_of

__all__ = ["NetworkSpec", "load_network"]

#: The largest numbers that model.json may hold: above them is a slip, which would take all memory to find out.
MOST = {"num_classes": 10**6, "in_channels": 4096, "channels": 2**16, "cells": 1000, "image_size": 2**16}


@dataclass(frozen=True)
class NetworkSpec:
    """All that decides a network but its weights.

    Args:
        name: a network of the zoo, or None for the cells of `genotype`.
        genotype: the cells, where there is no name.
        num_classes: number of classes.
        in_channels: channels of the images.
        channels: channels of the first stage; None for the published width.
        cells: number of cells; None for the published depth, and for networks that have none.
        image_size: height and width of the images that it is trained on, in pixels; None where that is not recorded.
    """

    name: str | None
    genotype: Genotype | None
    num_classes: int
    in_channels: int
    channels: int | None = None
    cells: int | None = None
    image_size: tuple[int, int] | None = None

    @classmethod
    def of(
        cls,
        config: NetworkConfig,
        *,
        num_classes: int,
        in_channels: int,
        image_size: tuple[int, int] | None = None,
    ) -> NetworkSpec:
        """The network that a configuration describes, for images of a data set.

        Raises:
            ConfigError: if it names both a network and a genotype, or neither.
            GenotypeError: if the genotype is missing or malformed.
        """
        if (config.name is None) == (config.genotype is None):
            came = "neither" if config.name is None else f"both {config.name!r} and {str(config.genotype)[:200]!r}"
            raise ConfigError(
                f"network: expected a name (resnet18, ...) or a genotype (genotype.json, ...), got {came}"
            )
        genotype = None if config.genotype is None else Genotype.load(config.genotype)
        return cls(config.name, genotype, num_classes, in_channels, config.channels, config.cells, image_size)

    @property
    def cell_genotype(self) -> Genotype | None:
        """The cells of the network, also where the zoo names it; None if it is not made of cells."""
        return zoo.card_of(self.name).genotype if self.name is not None else self.genotype

    def build(self, *, seed: int) -> nn.Module:
        """The network with fresh weights.

        Args:
            seed: decides the weights; the global random state is left as it was.

        Raises:
            UnknownNameError, ConfigError, GenotypeError: as `zoo.build` and `SearchSpace.build`, or if no space of the
                genotype's is registered.
        """
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            if self.name is not None:
                return zoo.build(
                    self.name,
                    self.num_classes,
                    in_channels=self.in_channels,
                    channels=self.channels,
                    cells=self.cells,
                )
            if self.genotype is None:
                raise GenotypeError("a network without a name needs a genotype")
            space = space_of(self.genotype)
            cells = self.cells or space.cells
            space.check_cells(cells)
            return space.build(
                self.genotype,
                self.num_classes,
                channels=self.channels or space.channels,
                cells=cells,
                in_channels=self.in_channels,
            )

    def save(self, folder: Path, *, run: str = "") -> None:
        """Write model.json, and genotype.json where there are cells.

        Args:
            folder: where.
            run: the identity of the run that the network belongs to; empty for none.
        """
        document: dict[str, Any] = {
            "network": self.name or "genotype.json",
            "num_classes": self.num_classes,
            "in_channels": self.in_channels,
            "channels": self.channels,
            "cells": self.cells,
            "image_size": self.image_size,
        }
        if (genotype := self.cell_genotype) is not None:
            write_atomically(folder / "genotype.json", seal_document(genotype.to_document(), run))
        write_atomically(folder / "model.json", seal_document(document, run))

    @classmethod
    def load(cls, folder: Path) -> NetworkSpec:
        """Read what `save` wrote.

        Raises:
            RunError: if the folder holds no model, or its description is damaged.
        """
        path = folder / "model.json"
        document = require_object(path, f"{folder} holds no trained network: it has no model.json")

        def whole(key: str, value: Any) -> int:
            if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MOST[key]:
                came = str(value)[:60]
                raise RunError(f"{path} is damaged: {key!r} should be an integer in [1, {MOST[key]}], is {came}")
            return value

        def whole_or_none(key: str) -> int | None:
            return None if document.get(key) is None else whole(key, document[key])

        name, size = document.get("network"), document.get("image_size")
        if not isinstance(name, str):
            raise RunError(f"{path} is damaged: 'network' should be a name, is {str(name)[:60]}")
        if size is not None and not (isinstance(size, list) and len(size) == 2):
            raise RunError(f"{path} is damaged: 'image_size' should be [height, width], is {str(size)[:60]}")
        return cls(
            name=None if name == "genotype.json" else name,
            genotype=Genotype.load(folder / name) if name == "genotype.json" else None,
            num_classes=whole("num_classes", document.get("num_classes")),
            in_channels=whole("in_channels", document.get("in_channels")),
            channels=whole_or_none("channels"),
            cells=whole_or_none("cells"),
            image_size=None if size is None else (whole("image_size", size[0]), whole("image_size", size[1])),
        )


def load_network(folder: Path) -> nn.Module:
    """The trained network of a run directory, in evaluation mode, on the CPU.

    Args:
        folder: a directory that `rnas train` wrote.

    Returns:
        A module from images in [0, 1], shape (N, in_channels, H, W), to logits (N, num_classes).

    Raises:
        RunError: if there is no network, no weights yet, or a damaged file.
        UnknownNameError: if it is a network of one's own that is not registered.
        ModelError: if the weights do not fit the network.
    """
    spec = NetworkSpec.load(folder)
    try:
        network = spec.build(seed=0)
    except UnknownNameError as error:
        raise UnknownNameError(
            f"{folder}/model.json: {error}; one of your own needs its --plugin (in Python, the import of its module)"
        ) from error
    weights = folder / "weights.safetensors"
    if not weights.exists():
        raise ModelError(
            f"{folder} has no weights.safetensors: its training has not finished, or the file was deleted; "
            "run it again to continue"
        )
    try:
        load_weights(weights, network)
    except RunError as error:
        raise RunError(f"{error}; run its training again to write it anew") from error
    return network.eval()
