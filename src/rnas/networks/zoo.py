"""All networks by name: a card says what each is, where it comes from, what it counts and what the paper prints for it.

Genotypes, edge codes and printed numbers are data with their sources (`rnas.networks.published`). Parameter counts are
those of the CIFAR-10 form with 10 classes and no auxiliary head: as printed where the form reaches that number, else
measured, and then the note says what is printed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from torch import nn

from rnas.errors import ConfigError
from rnas.genotype import Genotype
from rnas.networks.arnas import ARNAS_GENOTYPE, Arnas
from rnas.networks.cells import CellNetwork
from rnas.networks.densenet import DenseNet
from rnas.networks.mobilenet_v2 import MobileNetV2
from rnas.networks.published import Numbers, genotype_of, genotypes, numbers, other_cells
from rnas.networks.resnet import ResNet
from rnas.networks.robnet import ROBNET_FREE, ROBNET_LARGE, RobNet
from rnas.networks.shufflenet_v2 import ShuffleNetV2
from rnas.networks.squeezenet import SqueezeNet
from rnas.networks.vgg import VGG
from rnas.networks.wide_resnet import WideResNet
from rnas.registry import Registry

__all__ = [
    "NETWORKS",
    "PUBLISHED_CELLS",
    "PUBLISHED_CHANNELS",
    "UNPUBLISHED",
    "Builder",
    "Card",
    "build",
    "card_of",
    "count_parameters",
]

#: The form in which cells are trained on CIFAR-10, in RNAS as in DARTS.
PUBLISHED_CHANNELS = 36
PUBLISHED_CELLS = 20

#: ``builder(num_classes, in_channels=..., channels=..., cells=...)``, the last only for networks of cells.
Builder = Callable[..., nn.Module]


@dataclass(frozen=True)
class Card:
    """What is known of a network.

    Args:
        builder: makes the network; None if its description was never published.
        channels: default of its first stage; None where there is no builder.
        cells: default number of cells; None where the network is not made of cells, or there is no builder.
        source: who published it.
        parameters_millions: count for 10 classes, in millions; printed, or measured where the note says so. To 3
            decimals where there is a genotype, else to 1.
        genotype: its cells, if it is made of cells.
        note: what a user should know.
        published: the accuracies that the paper prints, in percent, by data set and column.
    """

    builder: Builder | None
    channels: int | None
    cells: int | None
    source: str
    parameters_millions: float
    genotype: Genotype | None = None
    note: str = ""
    published: Numbers = field(default_factory=dict)


#: The networks that can be built.
NETWORKS: Registry[Card] = Registry("network")

#: The networks of the paper's tables that nobody can build.
UNPUBLISHED = {
    "dsrna": Card(
        builder=None,
        channels=None,
        cells=None,
        source="Hosseini et al. 2021, CVPR",
        parameters_millions=5.4,
        note="its cells were never published; search for cells with its objective instead",
        published=numbers("dsrna"),
    )
}


def register_hand_made(
    name: str, builder: Builder, channels: int, parameters_millions: float, source: str, note: str = ""
) -> None:
    card = Card(
        builder=builder,
        channels=channels,
        cells=None,
        source=source,
        parameters_millions=parameters_millions,
        note=note,
        published=numbers(name),
    )
    NETWORKS.register(name)(card)


def register_cells(name: str, builder: Builder, genotype: Genotype, document: dict[str, Any]) -> None:
    card = Card(
        builder=builder,
        channels=document.get("channels", PUBLISHED_CHANNELS),
        cells=PUBLISHED_CELLS,
        source=document["source"],
        parameters_millions=document["parameters_millions"],
        genotype=genotype,
        note=document.get("note", ""),
        published=numbers(name),
    )
    NETWORKS.register(name)(card)


register_hand_made(
    "vgg16",
    VGG,
    64,
    14.7,
    "Simonyan and Zisserman 2015, CIFAR form with batch norm; RNAS, Table 1",
    "the tables print 34 M for CIFAR-100 and 14.7 M elsewhere; 100 classes add 0.05 M only",
)
register_hand_made("resnet18", ResNet, 64, 11.2, "He et al. 2016, CIFAR form; RNAS, Table 1")
register_hand_made("densenet121", DenseNet, 64, 7.0, "Huang et al. 2017, CIFAR form; RNAS, Table 1")
register_hand_made(
    "mobilenet_v2",
    MobileNetV2,
    16,
    2.3,
    "Sandler et al. 2018, CIFAR form; RNAS, Table 1",
    "with 1x1 shortcuts where a block of stride 1 changes its width; without them it counts 2.2 M",
)
register_hand_made("shufflenet_v2", ShuffleNetV2, 116, 1.3, "Ma et al. 2018, width 1x in CIFAR form; RNAS, Table 1")
register_hand_made("squeezenet", SqueezeNet, 128, 0.7, "Iandola et al. 2016, version 1.0 in CIFAR form; RNAS, Table 1")
register_hand_made(
    "wide_resnet_28_10",
    WideResNet,
    160,
    36.5,
    "Zagoruyko and Komodakis 2016; in adversarial training e.g. Guo et al. 2020",
)
register_hand_made(
    "wide_resnet_34_10",
    partial(WideResNet, depth=34),
    160,
    46.2,
    "Zagoruyko and Komodakis 2016; in adversarial training Zhang et al. 2019 (TRADES)",
)

for published_name, published_document in genotypes().items():
    cells_published = genotype_of(published_document)
    register_cells(published_name, partial(CellNetwork, cells_published), cells_published, published_document)
register_cells("arnas", Arnas, ARNAS_GENOTYPE, other_cells()["arnas"])
register_cells("robnet_large", partial(RobNet, ROBNET_LARGE), ROBNET_LARGE, other_cells()["robnet_large"])
register_cells("robnet_free", partial(RobNet, ROBNET_FREE), ROBNET_FREE, other_cells()["robnet_free"])


def card_of(name: str) -> Card:
    """The card of a network, also of one that cannot be built.

    Raises:
        UnknownNameError: if there is no such network; the message lists those that can be built.
    """
    return UNPUBLISHED[name] if name in UNPUBLISHED else NETWORKS[name]


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
        ConfigError: if its cells were never published, or if `cells` is given for a network without cells.
    """
    card = card_of(name)
    if card.builder is None:
        raise ConfigError(
            f"the network {name!r} cannot be built: {card.note}, and give the genotype found as network.genotype"
        )
    options = {"in_channels": in_channels, "channels": channels or card.channels}
    if card.cells is not None:
        options["cells"] = cells or card.cells
    elif cells is not None:
        raise ConfigError(f"cells: the network {name!r} is not made of cells, expected null, got {cells}")
    return card.builder(num_classes, **options)


def count_parameters(network: nn.Module) -> int:
    """The number of learned values of a network."""
    return sum(parameter.numel() for parameter in network.parameters())
