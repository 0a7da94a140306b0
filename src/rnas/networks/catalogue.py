"""The cards for a terminal: one line a network, and all of one. Reads stored facts only, so it needs no torch."""

from __future__ import annotations

from rich import box
from rich.console import Group
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from rnas.networks.cards import Card, known_cards
from rnas.networks.published import COLUMNS, LABELS, table_key, tables

__all__ = ["card_sheet", "card_table"]

#: How the paper calls its attacks.
TITLES = {"clean": "clean", "fgsm": "FGSM", "pgd20": "PGD-20", "cw": "C&W", "autoattack": "AutoAttack"}


def card_table() -> Group:
    """All networks, a line each: parameters, multiply-accumulates, the paper's robust accuracy on CIFAR-10, source."""
    shown = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    shown.add_column("Network", no_wrap=True)
    for heading in ("Params/M", "MACs/M", "PGD-20", "AutoAttack"):
        shown.add_column(heading, justify="right", no_wrap=True)
    shown.add_column("Source")
    cards = known_cards()
    for name in cards:
        card = cards[name]
        printed = card.published.get("cifar10", {})
        shown.add_row(
            name,
            millions(card),
            number(card.multiply_accumulates_millions, 1),
            number(printed.get("pgd20"), 2),
            number(printed.get("autoattack"), 2),
            Text(card.source, no_wrap=True, overflow="ellipsis"),
        )
    explained = (
        "MACs: multiply-accumulates of a 32x32 image. PGD-20, AutoAttack: accuracy on CIFAR-10 in percent after "
        f"adversarial training, as RNAS prints it in Table 1. {LABELS}. "
        "rnas zoo NETWORK shows all of one and draws its cells."
    )
    return Group(shown, Text(f"\n{explained}"))


def card_sheet(name: str) -> Group:
    """All that is known of one network.

    Raises:
        UnknownNameError: if there is no such network; the message names the nearest.
    """
    card = known_cards()[name]
    facts = Table.grid(padding=(0, 2))
    facts.add_column(style="dim", no_wrap=True)
    facts.add_column()
    for heading, value in describe_card(card):
        facts.add_row(heading, Text(value))
    return Group(Text(name, style="bold"), Padding(facts, (0, 0, 0, 2)), *printed_numbers(card))


def describe_card(card: Card) -> list[tuple[str, str]]:
    """The known facts of a card in words."""
    facts = [("source", card.source)]
    if card.parameters_millions is not None:
        facts.append(("parameters", f"{millions(card)} million with 10 classes"))
    if card.multiply_accumulates_millions is not None:
        counted = number(card.multiply_accumulates_millions, 1)
        facts.append(("multiply-accumulates", f"{counted} million for an image of 32x32"))
    if card.channels is not None:
        cells = "" if card.cells is None else f", {card.cells} cells"
        facts.append(("published form", f"{card.channels} channels in the first stage{cells}"))
    if card.note:
        facts.append(("note", card.note))
    return facts


def printed_numbers(card: Card) -> list[Table | Text]:
    """The accuracies that the paper prints, a row for each of its tables that has the network."""
    if not card.published:
        return [Text("\nRNAS prints no accuracy of it.")]
    shown = Table(box=box.SIMPLE_HEAD, title="Accuracy as RNAS prints it, in percent", title_justify="left")
    for heading in ("Table", "Data", "Training"):
        shown.add_column(heading)
    for column in COLUMNS:
        shown.add_column(TITLES[column], justify="right")
    for table, content in tables().items():
        data, training = content["data"], content["training"]
        if row := card.published.get(table_key(data, training)):
            shown.add_row(
                table.removeprefix("table"), data, training, *(number(row.get(column), 2) for column in COLUMNS)
            )
    return [shown]


def millions(card: Card) -> str:
    """The parameters with the decimals that are known of them."""
    return number(card.parameters_millions, 1 if card.genotype is None else 3)


def number(value: float | None, decimals: int) -> str:
    return "" if value is None else f"{value:.{decimals}f}"
