"""All networks by name: what the cards tell of them (`rnas.networks.cards`) joined with what builds them.

`register` adds a network of one's own, which is then trained, saved and built by its name as any other.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from torch import nn

from rnas.errors import ConfigError
from rnas.networks.arnas import Arnas
from rnas.networks.cards import NETWORKS, PUBLISHED_CELLS, PUBLISHED_CHANNELS, Builder, Card, published_cards
from rnas.networks.cells import CellNetwork
from rnas.networks.counting import count_multiply_accumulates, count_parameters
from rnas.networks.densenet import DenseNet
from rnas.networks.ibp_small import IbpSmall
from rnas.networks.mobilenet_v2 import MobileNetV2
from rnas.networks.published import genotype_of, genotypes
from rnas.networks.resnet import ResNet
from rnas.networks.robnet import RobNet
from rnas.networks.robnet_codes import ROBNET_FREE, ROBNET_LARGE
from rnas.networks.shufflenet_v2 import ShuffleNetV2
from rnas.networks.squeezenet import SqueezeNet
from rnas.networks.vgg import VGG
from rnas.networks.wide_resnet import WideResNet

__all__ = [
    "NETWORKS",
    "PUBLISHED_CELLS",
    "PUBLISHED_CHANNELS",
    "UNPUBLISHED",
    "Builder",
    "Card",
    "build",
    "card_of",
    "count_multiply_accumulates",
    "count_parameters",
    "register",
]

#: Decorate a network of one's own; the name under which plug-ins know it.
register = NETWORKS.register

#: The networks of the paper's tables that nobody can build.
UNPUBLISHED = {"dsrna": published_cards()["dsrna"]}

#: What builds the published networks: those made by hand, and the cells with a layout of their own; ...
BUILDERS: dict[str, Builder] = {
    "vgg16": VGG,
    "resnet18": ResNet,
    "densenet121": DenseNet,
    "mobilenet_v2": MobileNetV2,
    "shufflenet_v2": ShuffleNetV2,
    "squeezenet": SqueezeNet,
    "wide_resnet_28_10": WideResNet,
    "wide_resnet_34_10": partial(WideResNet, depth=34),
    "ibp_small": IbpSmall,
    "arnas": Arnas,
    "robnet_large": partial(RobNet, ROBNET_LARGE),
    "robnet_free": partial(RobNet, ROBNET_FREE),
}
#: ... and those of normal and reduce cells, stacked as DARTS does.
BUILDERS |= {name: partial(CellNetwork, genotype_of(document)) for name, document in genotypes().items()}

for published_name in published_cards():
    if published_name in BUILDERS:
        card = replace(published_cards()[published_name], builder=BUILDERS[published_name])
        NETWORKS.add(published_name, card, module=__name__)


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
