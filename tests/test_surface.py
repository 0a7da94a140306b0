"""`rnas.search`, `rnas.train` and the others: the commands with plain arguments, and the same results."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

import rnas
from rnas.certification import CertificationSettings
from rnas.commands import EvaluateCommand, run_evaluation
from rnas.config import Distance
from rnas.data.config import DataConfig
from rnas.errors import ConfigError
from rnas.evaluation import EvaluationSettings
from rnas.run.manifest import read_manifest
from rnas.run.results import read_results
from rnas.search import SearchConfig
from rnas.training import TrainingConfig

DATA = DataConfig("digits", limit=60)
THIRTY = CertificationSettings(images=30)


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Path:
    settings = SearchConfig(algorithm="largest", batch_size=20)
    out = tmp_path_factory.mktemp("surface") / "found"
    return rnas.search(DATA, out=out, channels=2, cells=3, epochs=8, eps="4/255", bound="50%", settings=settings)


@pytest.fixture(scope="module")
def trained(found: Path) -> Path:
    settings = TrainingConfig(batch_size=20, learning_rate=0.1)
    out = found.parent / "trained"
    return rnas.train(found, out=out, objective="standard", channels=2, cells=3, epochs=2, eps=0.1, settings=settings)


def test_plain_arguments_replace_what_the_settings_say(found: Path, trained: Path) -> None:
    search = read_manifest(found)["config"]["search"]
    assert (search["algorithm"], search["batch_size"], search["channels"], search["cells"]) == ("largest", 20, 2, 3)
    assert (search["epochs"], search["warmup_epochs"]) == (8, 2)  # of 60 epochs 15 are warm-up
    assert search["attack"] == {"eps": "4/255", "step_size": "1/255", "steps": 7}
    assert search["constraint"]["bound"] == "50%"
    assert search["constraint"]["metric"] == SearchConfig().constraint.metric
    training = read_manifest(trained)["config"]["training"]
    assert (training["objective"], training["epochs"], training["batch_size"]) == ("standard", 2, 20)
    assert training["attack"] == {"eps": "0.1", "step_size": "0.025", "steps": 7}


def test_a_training_takes_the_images_of_the_search(found: Path, trained: Path) -> None:
    assert read_manifest(trained)["config"]["data"] == read_manifest(found)["config"]["data"]
    assert rnas.Genotype.load(trained) == rnas.Genotype.load(found)


def test_an_evaluation_tells_what_the_command_keeps(trained: Path, tmp_path: Path) -> None:
    result = rnas.evaluate(trained, attacks=["fgsm"], eps=0.05, images=30)
    kept = read_results(trained / "results.json")
    assert result.rows == tuple(replace(row, call={}) for row in kept.attacks)
    assert result.sanity == kept.sanity
    assert float(result["fgsm"].settings["eps"]) == 0.05
    settings = EvaluationSettings(attacks=["fgsm"], eps=Distance(0.05), images=30)
    (asked,) = run_evaluation([str(trained)], EvaluateCommand(evaluation=settings))
    assert [row.accuracy for row in asked.attacks] == [row.accuracy for row in result.rows]
    elsewhere = rnas.evaluate(str(trained), attacks=["fgsm"], eps=0.05, images=30, out=tmp_path)
    assert [row.accuracy for row in elsewhere.rows] == [row.accuracy for row in result.rows]
    assert (tmp_path / "trained" / "results.json").is_file()
    assert rnas.report(tmp_path).name == "report.html"


def test_a_torch_module_is_evaluated_on_named_images(trained: Path) -> None:
    network = rnas.load(trained)
    result = rnas.evaluate(network, "digits", attacks=["fgsm"], eps=0.05, images=30)
    kept = rnas.evaluate(trained, attacks=["fgsm"], eps=0.05, images=30)
    assert [row.accuracy for row in result.rows] == [row.accuracy for row in kept.rows]
    with pytest.raises(ConfigError, match="data: expected a name, a hub id or a path: a torch module knows of no"):
        rnas.evaluate(network)


def test_a_certification_is_that_of_the_command_and_of_the_module(trained: Path, tmp_path: Path) -> None:
    test = rnas.data.load("digits").test
    network = rnas.load(trained)
    direct = rnas.certification.certify(network, test.images, test.labels, ["interval"], eps=1e-3, settings=THIRTY)
    module = rnas.certify(network, "digits", methods=["interval"], eps=1e-3, images=30)
    run = rnas.certify(trained, methods=["interval"], eps=1e-3, images=30, out=tmp_path)
    accuracies = [[row.accuracy for row in result.rows] for result in (direct, module, run)]
    assert accuracies[0] == accuracies[1] == accuracies[2]
    assert [row.name for row in run.rows] == ["interval"]
    kept = read_results(tmp_path / "trained" / "results.json").certificates
    assert tuple(replace(row, call={}) for row in kept) == run.rows


def test_a_network_of_the_zoo_is_trained_by_its_name(tmp_path: Path) -> None:
    settings = TrainingConfig(batch_size=20)
    out = tmp_path / "resnet18"
    path = rnas.train("resnet18", DATA, out=out, objective="standard", channels=2, epochs=1, settings=settings)
    assert read_manifest(path)["config"]["network"]["name"] == "resnet18"
    assert type(rnas.load(path)) is type(rnas.zoo.build("resnet18", 10, in_channels=1, channels=2))
