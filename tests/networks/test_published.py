"""The paper's printed numbers on the cards: where each belongs, and that counts agree unless a card says otherwise."""

from itertools import pairwise

import pytest

from rnas.errors import ConfigError
from rnas.networks import zoo
from rnas.networks.published import COLUMNS, numbers, tables

ROWS = [(name, row) for name, table in tables().items() for row in table["rows"]]

#: A printed count farther than 0.1 M from the network's own, with words of the card's note on it.
DISCREPANCIES = {("nasnet", 4.3): "4.3 M", ("vgg16", 34.0): "34 M"}


@pytest.mark.parametrize(("table", "row"), ROWS, ids=[f"{table}-{row['label']}" for table, row in ROWS])
def test_a_printed_row_is_on_the_card_of_its_network(table: str, row: dict[str, float | str]) -> None:
    name, printed = str(row["network"]), float(row["parameters_millions"])
    card = zoo.card_of(name)
    data = {"table1": "cifar10", "table2": "cifar10_standard", "table3": "cifar100", "table4": "svhn"}[table]
    assert card.published[data] == {column: row[column] for column in COLUMNS if column in row}
    if (name, printed) in DISCREPANCIES:
        assert DISCREPANCIES[name, printed] in card.note
    else:
        assert card.parameters_millions == pytest.approx(printed, abs=0.1)


@pytest.mark.parametrize("name", [*zoo.NETWORKS, *zoo.UNPUBLISHED])
def test_stronger_attacks_leave_less_accuracy(name: str) -> None:
    for columns in zoo.card_of(name).published.values():
        accuracies = [columns[column] for column in ("clean", "fgsm", "pgd20") if column in columns]
        assert all(0 <= weak <= strong <= 100 for strong, weak in pairwise(accuracies))


def test_the_tables_have_as_many_rows_as_printed() -> None:
    assert {name: len(table["rows"]) for name, table in tables().items()} == {
        "table1": 18,
        "table2": 12,
        "table3": 15,
        "table4": 15,
    }


def test_the_swapped_labels_are_told_on_both_cards() -> None:
    for name, row, count in (("rnas_h", "RNAS-L", 3.5), ("rnas_l", "RNAS-H", 3.2)):
        printed = {entry["label"]: entry for entry in tables()["table1"]["rows"]}[row]
        assert printed["network"] == name
        assert printed["parameters_millions"] == count
        assert f"the rows {row} are listed here" in zoo.card_of(name).note


def test_a_network_outside_the_tables_has_no_numbers() -> None:
    assert numbers("wide_resnet_34_10") == {}


def test_unpublished_cells_cannot_be_built_but_have_a_card() -> None:
    assert "dsrna" not in zoo.NETWORKS
    assert zoo.card_of("dsrna").published["cifar10"]["autoattack"] == 46.78
    with pytest.raises(
        ConfigError, match=r"'dsrna' cannot be built.*never published; search for cells with its objective"
    ) as raised:
        zoo.build("dsrna", 10)
    assert "\n" not in str(raised.value)
