"""The genotype as a value and as a file."""

import hashlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnas import Genotype
from rnas.errors import GenotypeError
from rnas.genotype import Cell, Edge


@st.composite
def cells(draw: st.DrawFn) -> Cell:
    inputs = draw(st.integers(1, 3))
    count = draw(st.integers(1, 5))
    nodes = tuple(
        tuple(
            Edge(draw(st.sampled_from(["skip_connect", "sep_conv_3x3"])), source)
            for source in draw(st.lists(st.integers(0, inputs + node - 1), max_size=3))
        )
        for node in range(count)
    )
    concat = draw(st.lists(st.integers(0, inputs + count - 1), min_size=1, unique=True))
    return Cell(nodes=nodes, concat=tuple(concat), inputs=inputs)


@given(cells(), cells())
def test_json_round_trip_keeps_value_and_hash(normal: Cell, reduce: Cell) -> None:
    genotype = Genotype({"normal": normal, "reduce": reduce})
    again = Genotype.from_json(genotype.to_json())
    assert again == genotype
    assert hash(again) == hash(genotype)
    assert Genotype((("reduce", reduce), ("normal", normal))) == genotype


@given(cells())
def test_the_space_is_kept_and_decides_nothing_else(cell: Cell) -> None:
    nameless, named = Genotype({"normal": cell}), Genotype({"normal": cell}, space="mine")
    assert Genotype.from_json(named.to_json()).space == "mine"
    assert "space" not in json.loads(nameless.to_json())  # as files were before
    assert Genotype.from_json(nameless.to_json()).space is None
    assert nameless == named
    assert nameless.fingerprint == named.fingerprint
    assert nameless.fingerprint == hashlib.sha256(nameless.to_json().encode()).hexdigest()


@pytest.mark.parametrize("space", [3, True, "", "x" * 65, ["darts"]])
def test_a_space_that_is_no_name_is_refused(space: object) -> None:
    with pytest.raises(GenotypeError, match="space"):
        Genotype.from_json(json.dumps(document() | {"space": space}))


def document() -> dict[str, dict[str, dict[str, object]]]:
    edge = {"op": "skip_connect", "from": 0}
    return {"cells": {"normal": {"nodes": [[edge, edge]], "concat": [2]}}}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            {"nodes": [[{"op": "skip_connect", "from": 2}]]},
            ["normal", "node 2, edge 0", "skip_connect", "reads node 2"],
        ),
        ({"nodes": [[{"op": "skip_connect"}]]}, ["normal", "node 2", "edge 0", "'from'"]),
        ({"nodes": [[{"op": 3, "from": 0}]]}, ["node 2", "edge 0", "'op'", "str"]),
        ({"nodes": [[{"op": "none", "from": True}]]}, ["edge 0", "'from'", "int"]),
        ({"nodes": ["x"]}, ["node 2", "list"]),
        ({"concat": [7]}, ["concat", "7"]),
        ({"concat": []}, ["concat", "empty"]),
        ({"concat": [True]}, ["concat", "indices"]),
        ({"inputs": 1, "nodes": [[], "x"]}, ["node 2", "list"]),
        ({"inputs": 0, "nodes": [[]], "concat": [0]}, ["at least one input", "0"]),
    ],
)
def test_malformed_file_is_named_to_the_edge(change: dict[str, object], words: list[str]) -> None:
    bad = document()
    bad["cells"]["normal"].update(change)
    with pytest.raises(GenotypeError) as caught:
        Genotype.from_json(json.dumps(bad))
    for word in words:
        assert word in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"cells": {}}', '{"cells": 3}', '{"cells": {"normal": 3}}', "{"])
def test_what_is_no_genotype_is_refused(text: str) -> None:
    with pytest.raises(GenotypeError):
        Genotype.from_json(text)


def test_a_missing_kind_names_those_that_exist() -> None:
    with pytest.raises(GenotypeError, match="no 'reduce' cell, only normal"):
        Genotype.from_json(json.dumps(document()))["reduce"]
