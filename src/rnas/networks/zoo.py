"""All networks by name: a card says what each is, where it comes from and what it counts.

A cell network's genotype and parameter count are in `genotypes.json` with their sources; the counts were measured in
CIFAR-10 form (20 cells, 36 channels, no auxiliary head).
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from torch import nn

from rnas.errors import ConfigError
from rnas.genotype import Genotype
from rnas.networks.cells import CellNetwork
from rnas.networks.resnet import ResNet
from rnas.registry import Registry

__all__ = ["NETWORKS", "PUBLISHED_CELLS", "PUBLISHED_CHANNELS", "Card", "build", "count_parameters"]

#: The form in which cells are trained on CIFAR-10, in RNAS as in DARTS.
PUBLISHED_CHANNELS = 36
PUBLISHED_CELLS = 20


@dataclass(frozen=True)
class Card:
    """What is known of a network.

    Args:
        builder: makes the network: ``builder(num_classes, in_channels=..., channels=..., cells=...)``.
        channels: default of its first stage.
        cells: default number of cells; None where the network is not made of cells.
        source: who published it.
        parameters_millions: published or measured count for 10 classes, in millions.
        genotype: its cells, if it is made of cells.
        note: what a user should know.
    """

    builder: Callable[..., nn.Module]
    channels: int
    cells: int | None
    source: str
    parameters_millions: float
    genotype: Genotype | None = None
    note: str = ""


NETWORKS: Registry[Card] = Registry("network")

NETWORKS.register("resnet18")(
    Card(
        builder=ResNet,
        channels=64,
        cells=None,
        source="He et al. 2016, CIFAR form; RNAS, Table 1",
        parameters_millions=11.2,
    )
)


@cache
def published() -> dict[str, Any]:
    """The published cell genotypes with their sources, by name."""
    text = resources.files("rnas.networks").joinpath("genotypes.json").read_text(encoding="utf-8")
    documents: dict[str, Any] = json.loads(text)
    return documents


def register_published(name: str, document: dict[str, Any]) -> None:
    genotype = Genotype.from_json(json.dumps({"cells": document["cells"]}))

    def builder(num_classes: int, **options: int) -> nn.Module:
        return CellNetwork(genotype, num_classes, **options)

    card = Card(
        builder=builder,
        channels=PUBLISHED_CHANNELS,
        cells=PUBLISHED_CELLS,
        source=document["source"],
        parameters_millions=document["parameters_millions"],
        genotype=genotype,
        note=document.get("note", ""),
    )
    NETWORKS.register(name)(card)


for published_name, published_document in published().items():
    register_published(published_name, published_document)


def build(
    name: str, num_classes: int, *, in_channels: int = 3, channels: int | None = None, cells: int | None = None
) -> nn.Module:
    """Build a network of the zoo with fresh weights.

    Args:
        name: a name in `NETWORKS`, for example ``"resnet18"`` or ``"darts_v2"``.
        num_classes: number of classes, at least 2.
        in_channels: channels of the images: 3, or 1 for grey images.
        channels: channels of the first stage; None for the published width.
        cells: number of cells; None for the published depth. Only for cell networks.

    Returns:
        A module from images in [0, 1], shape (N, in_channels, H, W), to logits (N, num_classes).

    Raises:
        UnknownNameError: if there is no such network; the message lists them.
        ConfigError: if `cells` is given for a network without cells.
    """
    card = NETWORKS[name]
    options = {"in_channels": in_channels, "channels": channels or card.channels}
    if card.cells is not None:
        options["cells"] = cells or card.cells
    elif cells is not None:
        raise ConfigError(f"cells: the network {name!r} is not made of cells, expected null, got {cells}")
    return card.builder(num_classes, **options)


def count_parameters(network: nn.Module) -> int:
    """The number of learned values of a network."""
    return sum(parameter.numel() for parameter in network.parameters())
