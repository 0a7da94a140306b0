"""The cards of the tables' networks: source, counts, cells, printed numbers. Nothing here needs torch.

Genotypes, edge codes and printed numbers are data with their sources (`rnas.networks.published`). Counts are those of
the CIFAR-10 form with 10 classes and no auxiliary head. Parameters: as printed where the form reaches that number, else
measured, and then the note says what is printed. Multiply-accumulates: measured.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

from rnas.genotype import Genotype
from rnas.networks.published import Numbers, genotype_of, genotypes, numbers, other_cells, other_networks
from rnas.networks.robnet_codes import ROBNET_FREE, ROBNET_LARGE
from rnas.registry import Lookup

if TYPE_CHECKING:
    from torch import nn

__all__ = [
    "NETWORKS",
    "PUBLISHED_CELLS",
    "PUBLISHED_CHANNELS",
    "Builder",
    "Card",
    "Networks",
    "known_cards",
    "published_cards",
]

#: The form in which cells are trained on CIFAR-10, in RNAS as in DARTS.
PUBLISHED_CHANNELS = 36
PUBLISHED_CELLS = 20

#: ``builder(num_classes, in_channels=..., channels=..., cells=...)``, the last only for networks of cells.
Builder = Callable[..., "nn.Module"]

AnyBuilder = TypeVar("AnyBuilder", bound=Builder)


@dataclass(frozen=True)
class Card:
    """All that is known of a network.

    Args:
        source: who published it.
        channels: default of its first stage; None for a network that nobody can build.
        cells: default number of cells; None where the network is not made of cells, or nobody can build it.
        parameters_millions: count for 10 classes, in millions; printed, or measured where the note says so. To 3
            decimals where there is a genotype, else to 1. None if it was never counted.
        multiply_accumulates_millions: for an image of 3x32x32 and 10 classes, in millions, to 1 decimal, as
            `rnas.networks.counting` counts them. None if they were never counted.
        genotype: its cells, if it is made of cells.
        note: what a user should know.
        published: the accuracies that the paper prints, in percent, by data set and column.
        builder: makes the network; `rnas.networks.zoo` adds it to the cards of the networks that it can build.
    """

    source: str
    channels: int | None
    cells: int | None = None
    parameters_millions: float | None = None
    multiply_accumulates_millions: float | None = None
    genotype: Genotype | None = None
    note: str = ""
    published: Numbers = field(default_factory=dict)
    builder: Builder | None = None


class Networks(Lookup[Card]):
    """Cards by name; what builds a network is decorated with what else is known of it."""

    def register(
        self,
        name: str,
        *,
        source: str,
        channels: int,
        cells: int | None = None,
        genotype: Genotype | None = None,
        note: str = "",
    ) -> Callable[[AnyBuilder], AnyBuilder]:
        """Decorate a network's class, or a function that makes one, so that it is trained, saved and built by name.

        It is called as ``builder(num_classes, in_channels=..., channels=...)``, with ``cells=...`` too if it has a
        default for them, and gives a module from images in [0, 1], shape (N, in_channels, H, W), to logits
        (N, num_classes). Whoever loads it again, in another process, registers it first.

        Args:
            name: what to call it.
            source: who published it, in a line.
            channels: default of its first stage.
            cells: default number of cells, for a network of cells.
            genotype: its cells, to be drawn and kept beside its weights.
            note: what a user should know.

        Raises:
            ConfigError: if the name is taken.
        """

        def add(builder: AnyBuilder) -> AnyBuilder:
            card = Card(source=source, channels=channels, cells=cells, genotype=genotype, note=note, builder=builder)
            self.add(name, card, module=getattr(builder, "__module__", ""))
            return builder

        return add


#: The networks that can be built: `rnas.networks.zoo` fills it, and whoever registers one of their own.
NETWORKS = Networks("network")


@cache
def published_cards() -> Lookup[Card]:
    """The cards of all networks of the paper's tables and of those beside them, also of one that nobody can build."""
    cards = Networks("network")
    cells: dict[str, Genotype | None] = {name: genotype_of(document) for name, document in genotypes().items()}
    cells |= {"arnas": genotype_of(other_cells()["arnas"])}
    cells |= {"robnet_large": ROBNET_LARGE, "robnet_free": ROBNET_FREE}
    for name, document in (genotypes() | other_cells() | other_networks()).items():
        cards.add(name, card_of_document(name, document, cells.get(name)), module=__name__)
    return cards


def known_cards() -> Lookup[Card]:
    """The published cards, and those of networks that were registered beside them."""
    known = Networks("network")
    for cards in (published_cards(), NETWORKS):
        for name in cards:
            if name not in known:
                known.add(name, cards[name], module=__name__)
    return known


def card_of_document(name: str, document: Mapping[str, Any], genotype: Genotype | None) -> Card:
    return Card(
        source=document["source"],
        channels=document.get("channels", None if genotype is None else PUBLISHED_CHANNELS),
        cells=None if genotype is None else PUBLISHED_CELLS,
        parameters_millions=document["parameters_millions"],
        multiply_accumulates_millions=document.get("multiply_accumulates_millions"),
        genotype=genotype,
        note=document.get("note", ""),
        published=numbers(name),
    )
