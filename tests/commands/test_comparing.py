"""One comparison has one set of test images and one size; what a command leaves open is that of the training."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import datasets
import pytest
from PIL import Image
from torch import nn

import rnas
from rnas.arguments import parse, positionals
from rnas.cli import main
from rnas.commands.checks import check_attacks
from rnas.commands.comparing import bounded_metrics
from rnas.commands.config import EvaluateCommand, VulnerabilityCommand
from rnas.commands.evaluate import run_evaluation
from rnas.commands.measuring import MeasuringAttack
from rnas.commands.vulnerability import settled
from rnas.config import Distance, plain
from rnas.data.config import DataChoice
from rnas.errors import ConfigError
from rnas.evaluation import EvaluationSettings, evaluate, read_outcomes
from rnas.genotype import Genotype
from rnas.models.resolve import LoadedModel, load_model
from rnas.models.spec import NetworkSpec
from rnas.networks.config import NetworkConfig
from rnas.run.manifest import describe

TRAIN = (
    "train --threads 1 --network.name resnet18 --network.channels 2 --training.epochs 1 --training.batch_size 20 "
    "--training.attack.steps 1"
)
SMALL = "--evaluation.attacks pgd3 --evaluation.images 12 --evaluation.batch_size 8 --threads 1"


def write_classes(path: Path, labels: list[int], **others: list[int]) -> None:
    """A part of a data set of grey images, in the hub's layout."""
    images = [Image.new("L", (8, 8), 25 * label + index) for index, label in enumerate(labels)]
    features = {"image": datasets.Image(), **dict.fromkeys(("label", *others), datasets.ClassLabel(10))}
    rows = datasets.Dataset.from_dict({"image": images, "label": labels, **others}, datasets.Features(features))
    path.parent.mkdir(exist_ok=True)
    datasets.disable_progress_bars()
    rows.to_parquet(path)


def attack(command: str) -> None:
    """What `rnas evaluate` does before it draws."""
    models, settings = positionals(command.split())
    run_evaluation(models, parse("evaluate", EvaluateCommand, settings))


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Networks of digits at 8 and at 4 pixels; the working directory."""
    folder = tmp_path_factory.mktemp("comparing")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("RNAS_CACHE", str(folder / ".cache"))
        assert main(f"{TRAIN} --data.limit 40 --out runs/whole".split()) == 0
        half = "--data.limit 60 --data.pixels 4 --training.attack.eps 0.1"
        assert main(f"{TRAIN} {half} --out runs/half".split()) == 0
        yield folder


def document(path: str) -> Any:
    return json.loads(Path(path, "results.json").read_text())


def refused(command: str, capsys: pytest.CaptureFixture[str]) -> str:
    """The one line with which a command ends."""
    capsys.readouterr()
    assert main(command.split()) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    return error


@pytest.mark.usefixtures("place")
def test_python_and_the_command_line_are_one_door() -> None:
    """The same names are the same attacks: outcomes, which hold every distance, are equal to the bit."""
    command = "runs/whole --out door --evaluation.images 8 --evaluation.batch_size 5 --threads 1"
    attacks = ["pgd5", "pgd2x2_margin"]
    attack(f"{command} --evaluation.attacks {','.join(attacks)} --evaluation.eps 0.07")
    test = rnas.data.load("digits").test
    settings = EvaluationSettings(images=8, batch_size=5)
    found = evaluate(rnas.load("runs/whole"), test.images, test.labels, attacks, eps=0.07, settings=settings)
    expected = read_outcomes(Path("door/whole/outcomes.parquet"))
    assert found.outcomes.to_table().equals(expected.to_table())
    rows = {row["name"]: row["settings"] for row in document("door/whole")["attacks"]}
    assert rows["pgd5"]["step_size"] == found["pgd5"].settings["step_size"] == 0.07 / 4


@pytest.mark.usefixtures("place")
def test_unlike_images_are_not_compared(capsys: pytest.CaptureFixture[str]) -> None:
    def files() -> list[Path]:
        return [path for path in sorted(Path("runs").rglob("*")) if path.name != ".lock"]

    before = files()
    for command in (
        f"evaluate runs/whole runs/half {SMALL}",
        f"evaluate runs/whole runs/half {SMALL} --data digits",
        "vulnerability runs/whole runs/half --out layers --threads 1",
    ):
        error = refused(command, capsys)
        assert "data: expected the name of one data set and size" in error
        assert "runs/whole has digits, 8 x 8 pixels, runs/half digits, 4 x 4 pixels" in error
        assert "--data.pixels N" in error
    assert files() == before
    # Of one size they can be: what the training images were does not matter.
    assert main(f"evaluate runs/whole runs/half {SMALL} --data.pixels 4 --out alike".split()) == 0
    for name in ("whole", "half"):
        assert document(f"alike/{name}")["data"]["size"] == [4, 4]
    page = Path("alike/report.html").read_text()
    # The radii of their trainings differ, and each heading says so.
    assert "<small>eps = 8/255</small>" in page
    assert "<small>eps = 0.1</small>" in page


@pytest.mark.usefixtures("place")
def test_weights_are_attacked_at_the_size_of_the_run_beside_them() -> None:
    """With the name of the data or without."""
    models = "runs/half resnet18:runs/half/weights.safetensors"
    for out, options in (("named", "--data digits"), ("taken", "")):
        attack(f"{models} --evaluation.attacks [] --evaluation.eps 0.1 --threads 1 {options} --out {out}")
        first, second = (read_outcomes(Path(out, name, "outcomes.parquet")) for name in ("half", "resnet18-half"))
        assert first.to_table().equals(second.to_table())
        assert document(f"{out}/resnet18-half")["data"]["size"] == [4, 4]


@pytest.mark.usefixtures("place")
def test_settings_of_the_data_are_those_of_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    labels = [index % 10 for index in range(30)]
    for part in ("train", "test"):
        write_classes(Path("own", f"{part}.parquet"), labels, wrong=[9 - label for label in labels])
    network = "resnet18:runs/whole/weights.safetensors --evaluation.attacks [] --threads 1"
    found = {}
    for column in ("label", "wrong"):
        attack(f"{network} --data ./own --data.label_column {column} --out {column}")
        outcomes = read_outcomes(Path(column, "resnet18-whole", "outcomes.parquet"))
        found[column] = dict(zip(outcomes.image.tolist(), outcomes.label.tolist(), strict=True))
    assert all(found["wrong"][image] == 9 - label for image, label in found["label"].items() if image in found["wrong"])
    Path("data.yaml").write_text("data:\n  source: ./own\n  label_column: wrong\n")
    attack(f"{network} --config data.yaml --out file")
    same = read_outcomes(Path("file/resnet18-whole/outcomes.parquet"))
    assert same.to_table().equals(read_outcomes(Path("wrong/resnet18-whole/outcomes.parquet")).to_table())
    assert "did you mean --data.pixels?" in refused(f"evaluate runs/whole {SMALL} --data.pixel 4", capsys)
    assert "data.pixels: expected an integer > 0" in refused(f"evaluate runs/whole {SMALL} --data.pixels 0", capsys)


@pytest.mark.usefixtures("place")
def test_vulnerability_takes_eps_from_the_training_and_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    common = "--images 12 --batch_size 12 --attack.steps 1 --threads 1"
    assert main(f"vulnerability runs/half {common} --out half".split()) == 0
    assert "rnas: eps = 0.1, as in training; step size 0.025, 1 steps; metric kl_per_position, by default" in (
        capsys.readouterr().err
    )
    lines = list(csv.DictReader(Path("half/vulnerability.csv").read_text().splitlines()))
    assert {(line["eps"], line["step_size"]) for line in lines} == {("0.1", "0.025")}
    both = f"vulnerability runs/whole runs/half {common} --data.pixels 4"
    error = refused(f"{both} --out both", capsys)
    assert "attack.eps: expected a distance" in error
    assert "runs/whole with 8/255, runs/half with 0.1" in error
    given = VulnerabilityCommand(models=["a"], attack=MeasuringAttack(Distance("0.05")), metrics=["kl", "gaussian_kl"])
    models = [load_model(text) for text in ("runs/whole", "runs/half")]
    assert settled(given, models)[1] == "eps = 0.05; step size 0.0125, 20 steps; metric kl, gaussian_kl"


@pytest.mark.usefixtures("place")
def test_a_measurement_of_an_older_version_is_continued(capsys: pytest.CaptureFixture[str]) -> None:
    """Their manifests and config.yaml have `data: digits` or `data: null`, and no radius left open."""
    command = "vulnerability runs/whole --images 12 --batch_size 12 --attack.steps 1 --threads 1 --out older"
    assert main(f"{command} --data digits".split()) == 0
    first = capsys.readouterr().out
    config = Path("older/config.yaml").read_text()
    assert "\ndata: digits\n" in config
    assert "attack:\n  eps: 8/255\n  step_size: 2/255\n  steps: 1\nmetrics:\n- kl_per_position\n" in config
    for again in (f"{command} --data digits", "vulnerability --resume older"):
        assert main(again.split()) == 0
        assert capsys.readouterr().out == first
    assert plain(DataChoice()) is None
    assert plain(DataChoice("a", 3))["pixels"] == 3


def run_folder(folder: Path, kind: str, config: dict[str, Any], genotype: Genotype) -> Path:
    """What a run leaves of which the metric is read."""
    folder.mkdir(parents=True)
    (folder / "manifest.json").write_text(json.dumps(describe(kind, config, seed=0, device="cpu")))
    (folder / "genotype.json").write_text(genotype.to_json())
    return folder


def test_the_metric_is_that_of_the_search(tmp_path: Path) -> None:
    first, second = (rnas.networks.zoo.NETWORKS[name].genotype for name in ("darts_v2", "pc_darts"))
    assert first is not None
    assert second is not None
    search = {"search": {"constraint": {"metric": "gaussian_kl"}}}
    run_folder(tmp_path / "run" / "search", "search", search, first)
    for name, genotype, written in (
        ("searched", first, tmp_path / "run" / "search" / "genotype.json"),
        ("moved", first, tmp_path / "gone" / "genotype.json"),
        ("other", second, tmp_path / "gone" / "genotype.json"),
    ):
        config = {"network": {"genotype": str(written)}, "training": {"attack": {"eps": "0.1"}}}
        folder = run_folder(tmp_path / "run" / name, "train", config, genotype)
        model = LoadedModel(name, name, "run", nn.Identity(), folder)
        assert bounded_metrics(model) == ([] if name == "other" else ["gaussian_kl"])
        command, words = settled(VulnerabilityCommand(models=[name]), [model])
        metric = "kl_per_position" if name == "other" else "gaussian_kl"
        assert command.metrics == [metric]
        assert command.attack == MeasuringAttack(Distance("0.1"), Distance("0.025"), 20)
        assert words.endswith(f"metric {metric}, {'by default' if name == 'other' else 'as in the search'}")


def test_any_attack_that_evaluate_takes_run_and_reproduce_take_too() -> None:
    digits = rnas.data.load("digits")
    check_attacks(EvaluationSettings(attacks=["fgsm", "pgd50", "pgd100x10_margin", "corruptions"]), digits)
    labels = digits.test.labels < 3
    few = rnas.data.ImageDataset(
        "three", "", ("a", "b", "c"), digits.train, digits.test.select(labels.nonzero()[:, 0]), False
    )
    says = r"AutoAttack needs at least 4 classes, three has 3; choose .*pgd50,"
    with pytest.raises(ConfigError, match=says) as caught:
        check_attacks(EvaluationSettings(attacks=["pgd50", "autoattack"]), few)
    assert "transfer" not in str(caught.value)
    network = NetworkSpec.of(NetworkConfig(name="resnet18", channels=8), num_classes=3, in_channels=1).build(seed=0)
    with pytest.raises(rnas.errors.ModelError, match="AutoAttack needs at least 4 classes, the model has 3"):
        evaluate(network, few.test.images, few.test.labels, ["pgd50", "autoattack"])
