"""`rnas reproduce`: all rows of a table beside the paper's numbers, from runs that are made once and shared."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from rnas.arguments import parse
from rnas.cli import main
from rnas.commands import RecipeCommand
from rnas.commands import evaluate as evaluate_command
from rnas.commands import search as search_command
from rnas.commands import train as train_command
from rnas.genotype import Genotype
from rnas.networks.cards import published_cards
from rnas.networks.published import tables
from rnas.recipes import recipe_file
from rnas.reports import read_layers
from rnas.studies import STUDIES, ReproduceCommand, budget_file, budget_names
from rnas.studies import layers as layers_study

SMALL = (
    "--data.limit 64 --training.epochs 1 --evaluation.images 6 --evaluation.attacks pgd20 --network.channels 2 "
    "--search.epochs 1 --search.warmup_epochs 1 --search.constraint.images 8 --layers.images 8 "
    "--layers.attack.steps 1 --search.attack.steps 1 --training.attack.steps 1"
)


def rows_of(study: str) -> list[dict[str, str]]:
    return list(csv.DictReader(Path(f"out/{study}.csv").read_text(encoding="utf-8").splitlines()))


def reproduce(study: str, options: str = "") -> None:
    assert main([*f"reproduce {study} --out out {SMALL} {options}".split()]) == 0


@pytest.mark.parametrize("budget", budget_names())
def test_budgets_are_complete_and_every_study_can_be_planned(budget: str) -> None:
    command: ReproduceCommand = parse("reproduce STUDY", ReproduceCommand, [], recipe=budget_file(budget))
    assert command.budget == budget
    assert command.out == f"runs/reproduce-{budget}"
    names = {name: [job.name for job in next(STUDIES[name].phases(command))] for name in STUDIES}
    for table, content in tables().items():
        unknown = [row["network"] for row in content["rows"] if row["network"] == "dsrna"]
        assert len(names[table]) == len(content["rows"]) - len(unknown)
    assert len(names["figure1"]) == 8
    assert len(names["figure3"]) == len(command.bounds)


def test_numbers_of_other_images_are_not_this_studys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two commands with one folder: each table shows what was measured in its own way, whatever lies there."""
    monkeypatch.chdir(tmp_path)
    reproduce("table2", "--networks darts_v2")
    before = rows_of("table2")
    assert {row["network"] for row in before if row["ours"]} == {"darts_v2"}
    other = f"reproduce table2 --out out {SMALL} --data.limit 32"
    assert main([*f"{other} --networks darts_v2".split()]) == 2  # its folder holds the run of 64 images
    assert not any(row["ours"] for row in rows_of("table2"))
    assert main([*f"{other} --networks vgg16".split()]) == 0
    assert {row["network"] for row in rows_of("table2") if row["ours"]} == {"vgg16"}
    assert all("32 training images" in row["images_of"] for row in rows_of("table2"))
    # An attack of other strength is not this study's either; what is there is not lost.
    assert main([*f"reproduce table2 --out out {SMALL} --networks darts_v2 --evaluation.eps 0.05".split()]) == 2
    assert not any(row["ours"] for row in rows_of("table2") if row["measure"] == "pgd20")
    reproduce("table2", "--networks darts_v2")
    assert rows_of("table2") == before


def test_the_paper_budget_is_the_papers_setting() -> None:
    """Section 5.1: as the recipe paper-cifar10, and for the training the defaults."""
    command: ReproduceCommand = parse("reproduce STUDY", ReproduceCommand, [], recipe=budget_file("paper"))
    recipe: RecipeCommand = parse("run RECIPE", RecipeCommand, [], recipe=recipe_file("paper-cifar10"))
    assert command.training == recipe.training == ReproduceCommand().training
    assert command.search == recipe.search
    assert command.training.epochs == 300


@pytest.mark.usefixtures("drawn")
def test_a_table_shows_the_papers_numbers_and_repeats_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    reproduce("table2", "--networks darts_v2")
    told = capsys.readouterr().out
    assert "table: out/table2.csv" in told
    first = rows_of("table2")
    printed = {row["network"]: row for row in tables()["table2"]["rows"]}
    assert {(row["network"], row["measure"]): float(row["paper"]) for row in first} == {
        (network, measure): row[measure]
        for network, row in printed.items()
        for measure in ("parameters_millions", "clean", "pgd20")
    }
    assert {row["network"] for row in first if row["ours"]} == {"darts_v2"}
    run = Path("out/runs/cifar10-standard-darts_v2")
    results = {row["name"]: row for row in json.loads((run / "results.json").read_text())["attacks"]}
    for row in first:
        assert row["images_of"] == "digits (stands for cifar10), 64 training images"
        if row["ours"] and row["measure"] in results:
            assert float(row["ours"]) == pytest.approx(100 * results[row["measure"]]["accuracy"], rel=1e-5)
            assert float(row["difference"]) == pytest.approx(float(row["ours"]) - float(row["paper"]), abs=1e-3)
            assert float(row["low"]) <= float(row["ours"]) <= float(row["high"])
        assert bool(row["ours"]) == bool(row["command"] and row["hardware"] and row["seed"] and row["torch"])
    assert json.loads((run / "manifest.json").read_text())["config"]["training"]["objective"] == "standard"
    for kind in ("png", "svg"):
        assert Path(f"out/table2.{kind}").stat().st_size > 0
    (clean,) = (row for row in first if (row["network"], row["measure"]) == ("darts_v2", "clean"))
    assert f"{float(clean['ours']):.1f}/97.41" in told
    assert f"({float(clean['difference']):+.1f})" in told
    # Not even its network is loaded again.
    monkeypatch.setattr(train_command, "train", None)
    monkeypatch.setattr(evaluate_command, "load_model", None)
    reproduce("table2", "--networks darts_v2")
    again = capsys.readouterr()
    assert again.out == told
    assert again.err == "already finished: 1 of 1\n"
    assert rows_of("table2") == first


def test_what_is_asked_for_beyond_a_finished_run_is_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    reproduce("table2", "--networks vgg16")
    monkeypatch.setattr(train_command, "train", None)
    reproduce("table2", "--networks vgg16 --evaluation.images 9")
    assert {row["test_images"] for row in rows_of("table2") if row["ours"] and row["measure"] == "pgd20"} == {"9"}
    # Other settings are refused as ever, in place of taking the numbers for theirs.
    capsys.readouterr()
    for other, words in (("--evaluation.eps 0.3", "eps of pgd20"), ("--training.epochs 2", "training.epochs")):
        command = f"reproduce table2 --out out {SMALL} --networks vgg16 {other}"
        assert main(command.split()) == 2
        assert words in capsys.readouterr().err


def test_a_killed_study_goes_on_and_keeps_the_rows_of_other_networks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    from rnas.training.loop import train as real

    def interrupted(*arguments: object, **settings: object) -> None:
        if Path("out/table2.csv").exists() and any(row["ours"] for row in rows_of("table2")):
            raise KeyboardInterrupt
        real(*arguments, **settings)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(train_command, "train", interrupted)
        options = f"--out out {SMALL} --networks vgg16,darts_v2"
        assert main(f"reproduce table2 {options}".split()) == 130
    assert {row["network"] for row in rows_of("table2") if row["ours"]} == {"darts_v2"}
    before = Path("out/runs/cifar10-standard-darts_v2/weights.safetensors").stat().st_mtime_ns
    reproduce("table2", "--networks vgg16")
    assert {row["network"] for row in rows_of("table2") if row["ours"]} == {"darts_v2", "vgg16"}
    assert Path("out/runs/cifar10-standard-darts_v2/weights.safetensors").stat().st_mtime_ns == before


def test_a_network_that_nobody_can_build_is_a_row_and_no_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    reproduce("table4", "--networks dsrna")
    rows = [row for row in rows_of("table4") if row["network"] == "dsrna"]
    assert {row["ours"] for row in rows} == {""}
    assert all("never published" in row["note"] for row in rows)
    assert not Path("out/runs").exists()


def test_figure_1_measures_both_trainings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    reproduce("figure1", "--networks resnet18")
    rows = [row for row in rows_of("figure1") if row["network"] == "resnet18"]
    for data in ("cifar10", "cifar100"):
        measured = []
        for training in ("standard", "adversarial"):
            layers = read_layers(Path(f"out/runs/layers-{data}-{training}-resnet18/vulnerability.csv"))
            lines = [row for row in rows if (row["data"], row["training"]) == (data, training)]
            # The last of the four stages has maps of one position, of which KL says nothing.
            assert [bool(row["ours"]) for row in lines] == [True] * 3 + [False]
            assert "one position" in lines[3]["note"]
            measured.append([float(row["ours"]) for row in lines[:3]])
            assert measured[-1] == pytest.approx([row.vulnerability for row in layers[:3]], rel=1e-5)
        quotients = [row for row in rows if (row["data"], row["training"]) == (data, "standard / adversarial")]
        assert [float(row["ours"]) for row in quotients] == pytest.approx(
            [standard / adversarial for standard, adversarial in zip(*measured, strict=True)], rel=1e-4
        )
    assert all("curves without numbers" in row["note"] for row in rows)
    # Neither trained nor measured again.
    with monkeypatch.context() as patch:
        patch.setattr(layers_study, "run_training", None)
        reproduce("figure1", "--networks resnet18")
    assert [row for row in rows_of("figure1") if row["network"] == "resnet18"] == rows
    # The networks of Figure 1 are those of the tables.
    monkeypatch.setattr(train_command, "train", None)
    reproduce("table1", "--networks resnet18")
    assert {row["network"] for row in rows_of("table1") if row["ours"]} == {"resnet18"}


def test_figures_2_and_3_search_and_transfer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    reproduce("figure3", "--bounds 80%")
    rows = rows_of("figure3")
    assert {(row["data"], row["measure"]) for row in rows if row["ours"]} == {
        (data, measure)
        for data in ("cifar10", "cifar100", "svhn")
        for measure in ("parameters_millions", "clean", "pgd20")
    }
    # The paper's curves have no numbers; what its tables print of its two networks stands beside them.
    printed = {
        (row["label"], table["data"], measure): row[measure]
        for table in tables().values()
        for row in table["rows"]
        for measure in ("clean", "pgd20")
        if table["training"] == "adversarial" and row["label"] in ("RNAS-L", "RNAS-H")
    }
    shown = {(row["row"], row["data"], row["measure"]): float(row["paper"]) for row in rows if row["paper"]}
    assert shown == printed
    search = Path("out/runs/cifar10-search-80_percent")
    for data in ("cifar10", "cifar100", "svhn"):
        trained = Path(f"out/runs/{data}-adversarial-found-80_percent/genotype.json")
        assert Genotype.load(trained) == Genotype.load(search / "genotype.json")
    assert json.loads((search / "manifest.json").read_text())["config"]["search"]["constraint"]["bound"] == "80%"
    monkeypatch.setattr(search_command, "search", None)
    reproduce("figure2")
    found = [row for row in rows_of("figure2") if row["row"] == "RNAS-H" and "cell" in row["measure"]]
    # Two cells of four nodes with two edges each.
    assert sum(float(row["ours"]) for row in found) == sum(float(row["paper"]) for row in found) == 16
    counts = {row["measure"]: float(row["paper"]) for row in found}
    genotype = published_cards()["rnas_l"].genotype
    assert genotype is not None
    assert counts["skip_connect in the normal cell"] == sum(
        edge.op == "skip_connect" for node in genotype["normal"].nodes for edge in node
    )
