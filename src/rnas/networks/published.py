"""Published facts as data: genotypes, edge codes and the paper's tables, read from JSON files beside this module.

Each file names its sources. Nothing here needs torch.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Any

from rnas.genotype import Genotype
from rnas.spaces import darts

__all__ = [
    "COLUMNS",
    "LABELS",
    "Numbers",
    "genotype_of",
    "genotypes",
    "numbers",
    "other_cells",
    "other_networks",
    "table_key",
    "tables",
]

#: What the paper prints for a network: data set -> column ("clean", "fgsm", "pgd20", "cw", "autoattack") -> percent.
Numbers = Mapping[str, Mapping[str, float]]

#: The columns of a table's row that are accuracies.
COLUMNS = ("clean", "fgsm", "pgd20", "cw", "autoattack")

#: The authors' repository and the paper's tables give its two networks each other's letter.
LABELS = (
    "rnas_h and rnas_l are the names of the authors' repository; by their parameters (3.5 and 3.2 M) they are the "
    "paper's RNAS-L and RNAS-H"
)


def genotypes() -> dict[str, Any]:
    """The networks of normal and reduce cells with their sources and parameter counts, by name."""
    return {name: {"space": darts.NAME, **document} for name, document in read("genotypes.json").items()}


def other_cells() -> dict[str, Any]:
    """The networks of other cells: ARNAS (three kinds) and the two RobNets (edge codes), by name."""
    return read("other_cells.json")


def other_networks() -> dict[str, Any]:
    """The networks without published cells, by name: those made by hand, and those whose cells nobody has."""
    return read("other_networks.json")


def genotype_of(document: Mapping[str, Any]) -> Genotype:
    """The cells of an entry of these files; its "space" is known where a search space builds them."""
    return Genotype.from_json(json.dumps({key: document.get(key) for key in ("space", "cells")}))


def tables() -> dict[str, Any]:
    """The paper's Tables 1 to 4, by name (``"table1"``, ...).

    Returns:
        For each table its "data" set, its "training" ("adversarial" or "standard") and its "rows" as printed: "label",
        "network" (the zoo's name), "parameters_millions" and accuracies in percent.
    """
    document: dict[str, Any] = read("published_tables.json")["tables"]
    return document


def table_key(data: str, training: str) -> str:
    """The name of a table in `numbers`: its data set, with ``"_standard"`` where training was not adversarial."""
    return data if training == "adversarial" else f"{data}_{training}"


def numbers(network: str) -> Numbers:
    """The accuracies that the paper prints for a network.

    Args:
        network: its name in the zoo.

    Returns:
        Percent by column, by data set: "cifar10", "cifar100" and "svhn" after adversarial training,
        "cifar10_standard" after standard training. Empty for a network that is not in the tables.
    """
    found: dict[str, Mapping[str, float]] = {}
    for table in tables().values():
        key = table_key(table["data"], table["training"])
        for row in table["rows"]:
            if row["network"] == network:
                found[key] = {column: row[column] for column in COLUMNS if column in row}
    return found


@cache
def read(file: str) -> dict[str, Any]:
    text = resources.files("rnas.networks").joinpath(file).read_text(encoding="utf-8")
    document: dict[str, Any] = json.loads(text)
    return document
