"""Genotypes as other programs print them: each published one comes back, and nothing of a text is ever run."""

import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from rnas import Genotype
from rnas.arguments import parse
from rnas.commands.config import TrainCommand
from rnas.config import plain
from rnas.errors import GenotypeError
from rnas.genotype import MOST_EDGES, MOST_NODES, Cell, Edge
from rnas.models.spec import NetworkSpec
from rnas.networks.cards import published_cards
from rnas.networks.config import NetworkConfig
from rnas.networks.published import genotypes
from rnas.spaces import nasbench201

CELL_STRING = "|nor_conv_3x3~0|+|none~0|avg_pool_3x3~1|+|skip_connect~0|none~1|nor_conv_1x1~2|"


def published(name: str) -> Genotype:
    genotype = published_cards()[name].genotype
    assert genotype is not None
    return genotype


def as_darts_prints(genotype: Genotype, concat: Callable[[tuple[int, ...]], object] = list) -> str:
    fields = []
    for kind, cell in genotype.cells:
        pairs = [(edge.op, edge.source) for node in cell.nodes for edge in node]
        fields.append(f"{kind}={pairs}, {kind}_concat={concat(cell.concat)}")
    return f"Genotype({', '.join(fields)})"


DARTS = as_darts_prints(published("darts_v2"))


@pytest.mark.parametrize("name", genotypes())
def test_published_cells_come_back_from_their_print(name: str) -> None:
    assert Genotype.load(as_darts_prints(published(name))) == published(name)


@pytest.mark.parametrize(
    "text",
    [
        as_darts_prints(published("darts_v2"), lambda nodes: range(nodes[0], nodes[-1] + 1)),
        as_darts_prints(published("darts_v2"), lambda nodes: f"list(range({nodes[0]}, {nodes[-1] + 1}))"),
        DARTS.replace("normal=", "").replace("normal_concat=", "").replace("reduce=", "").replace("reduce_concat=", ""),
        DARTS.replace(", ", ",\n    "),
        f"DARTS_V2 = {DARTS}",
        f"from collections import namedtuple\nGenotype = namedtuple('Genotype', 'normal ...')\nDARTS = {DARTS}\n",
        f"11/28 03:12:01 AM epoch 48 genotype = {DARTS}\n11/28 03:14:01 AM epoch 49 genotype = {DARTS}\nvalid_acc 97\n",
        f"best = genotypes.{DARTS}",
    ],
)
def test_words_around_a_genotype_do_not_matter(text: str, tmp_path: Path) -> None:
    (tmp_path / "kept.txt").write_text(text)
    assert Genotype.load(tmp_path / "kept.txt") == published("darts_v2")


def test_strings_of_nas_bench_201(tmp_path: Path) -> None:
    genotype = nasbench201.parse_genotype(CELL_STRING)
    (tmp_path / "log.txt").write_text(f"Structure(4 nodes with {CELL_STRING})\n")
    assert Genotype.load(CELL_STRING) == genotype
    assert Genotype.load(tmp_path / "log.txt") == genotype


def test_a_run_directory_stands_for_its_genotype(tmp_path: Path) -> None:
    search = tmp_path / "recipe" / "search"
    search.mkdir(parents=True)
    (search / "genotype.json").write_text(published("racl").to_json())
    for folder in (search, tmp_path / "recipe"):
        assert Genotype.load(folder) == published("racl")
    (tmp_path / "found").mkdir()
    search.rename(tmp_path / "found" / "first")
    with pytest.raises(GenotypeError, match=r"found: the folder holds no genotype\.json; did you mean .*found/first\?"):
        Genotype.load(tmp_path / "found")


@pytest.mark.parametrize("text", [DARTS, CELL_STRING])
def test_networks_take_all_of_them(text: str) -> None:
    spec = NetworkSpec.of(NetworkConfig(genotype=text), num_classes=2, in_channels=1)
    assert spec.genotype == Genotype.load(text)


@pytest.mark.parametrize("text", [DARTS, CELL_STRING])
def test_command_lines_and_their_files_keep_a_print(text: str, tmp_path: Path) -> None:
    command = parse("train", TrainCommand, ["--network.genotype", text])
    assert command.network.genotype == text
    assert parse("train", TrainCommand, ["--network", text]) == command
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(plain(command)))
    assert parse("train", TrainCommand, ["--config", str(tmp_path / "config.yaml")]) == command


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (f"A = {DARTS}\nB = {as_darts_prints(published('racl'))}", "several genotypes (['A', 'B']), expected one"),
        (DARTS.replace("normal_concat", "norm_concat", 1), "norm_concat': there is no such cell"),
        (f"Genotype({'x' * 10**4}=[], normal_concat=[2])", "there is no such cell"),
        (f"Genotype({'x' * 10**4}=[])", "expected its concat to be a list of nodes"),
        (DARTS.replace(", normal_concat=[2, 3, 4, 5]", ""), "cell 'normal': expected its concat to be a list of nodes"),
        (DARTS.replace("('sep_conv_3x3', 0), ", "", 1), "cell 'normal': expected two edges for each node, got 7"),
        (DARTS.replace("normal_concat=[2, 3, 4, 5]", "normal_concat=[2, 3]"), "make the nodes 2 to 5, but its concat"),
        (DARTS.replace("('sep_conv_3x3', 0)", "('sep_conv_3x3', 9)", 1), "cell 'normal', node 2, edge 0"),
        (DARTS.replace("('sep_conv_3x3', 0)", "('sep_conv_3x3', print(1))", 1), "got"),
        (DARTS.replace("('sep_conv_3x3', 0)", "__import__('os').mkdir('harm')", 1), "expected Genotype(normal="),
        (DARTS.replace("[2, 3, 4, 5]", "range(2, 10**9)"), "expected Genotype(normal="),
        (DARTS.replace("[2, 3, 4, 5]", "range(2, 999999999999)"), "expected at most 40 nodes in concat"),
        (DARTS.replace("[2, 3, 4, 5]", f"range({'9' * 5000})"), "expected Genotype(normal="),
        ("Genotype(" + "[" * 100_000, "expected Genotype(normal="),
        ("Genotype(normal=" + "-" * 100_000 + "1)", "expected Genotype(normal="),
        ("Genotype(", "expected Genotype(normal="),
        (f"Genotype({'x' * 10**6}", "expected Genotype(normal="),
        (f"|{'x~1' * 10**5}|", "expected 3 nodes"),
        ("Genotype()", "expected cells of distinct kinds"),
        (CELL_STRING.replace("avg_pool_3x3", "avg_pool_3x4"), "did you mean 'avg_pool_3x3'?"),
        ("|nor_conv_3x3~0|", "expected 3 nodes"),
    ],
)
def test_others_are_refused_in_one_line(text: str, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("some.txt").write_text(text)
    for source in (text, Path("some.txt")):
        if source == text and not text.startswith(("Genotype(", "|")):
            continue
        with pytest.raises(GenotypeError) as caught:
            Genotype.load(source)
        assert says in str(caught.value)
        assert "\n" not in str(caught.value)
        assert len(str(caught.value)) < 500
    assert not Path("harm").exists()


def document(**change: object) -> str:
    cell = {"nodes": [[{"op": "skip_connect", "from": 0}]], "concat": [2]}
    return json.dumps({"cells": {"normal": cell | change}})


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (document(concat=[2] * 100_000), "expected at most 40 nodes in concat, got 100000"),
        (document(nodes=[[{"op": "skip_connect", "from": 0}]] * 5000), f"at most {MOST_NODES} nodes, got 5000"),
        (document(nodes=[[{"op": "skip_connect", "from": 0}] * 5000]), f"at most {MOST_EDGES} edges, got 5000"),
        (document(inputs=10**9), "at most 8 input nodes"),
        (document(concat=[10**9]), "concat names node 1000000000"),
        (document(nodes=[[{"op": "skip_connect", "from": 10**9}]]), "reads node 1000000000"),
        (document(nodes=[[{"op": "x" * 10_000, "from": 0}]]), "an operation's name of at most 64 characters"),
        (document(concat=["x" * 10_000]), "'concat' should hold node indices"),
        (document().replace("[2]", "9" * 5000), "is no number that it may hold"),
        (document().replace("[2]", "[" * 50_000), "nested too deeply"),
        (document().replace("normal", "n" * 1000), "at most 64 kinds of cell with names of at most 64 characters"),
        (document(more=" " * 2**20), "expected at most 1 MiB"),
    ],
)
def test_sizes_are_bounded(text: str, says: str, tmp_path: Path) -> None:
    (tmp_path / "genotype.json").write_text(text)
    start = time.process_time()
    with pytest.raises(GenotypeError) as caught:
        Genotype.load(tmp_path / "genotype.json")
    assert time.process_time() - start < 1
    assert says in str(caught.value)
    assert str(tmp_path) in str(caught.value)
    assert len(str(caught.value)) < 500


def test_many_kinds_are_refused() -> None:
    cell = Cell(nodes=((Edge("none", 0),),), concat=(2,))
    with pytest.raises(GenotypeError, match="at most 64 kinds"):
        Genotype({f"kind{number}": cell for number in range(65)})
