"""A smoothed model where a MODEL may stand: attacked, certified, measured and reported as what it computes."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.refusals import Refused

from rnas import data
from rnas.certification import SmoothedModel
from rnas.cli import main
from rnas.evaluation import read_outcomes
from rnas.models.spec import load_network
from rnas.reports import read_layers

TRAIN = (
    "train --data digits --network.name resnet18 --network.channels 6 --training.epochs 2 --training.batch_size 16 "
    "--training.learning_rate 0.02 --training.attack.steps 1 --training.attack.eps 0.02 --threads 1 --out trained"
)
FEW = "--evaluation.attacks fgsm,deepfool --evaluation.images 12 --threads 1"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A trained network, its smoothed model attacked beside it, and the working directory."""
    folder = tmp_path_factory.mktemp("place")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert main(TRAIN.split()) == 0
        assert main(f"evaluate trained smoothed:0.25x4:trained {FEW} --out out".split()) == 0
        yield folder


def results(name: str = "smoothed-0.25x4-trained") -> dict[str, Any]:
    found: dict[str, Any] = json.loads(Path("out", name, "results.json").read_text())
    return found


def test_it_is_attacked_as_the_mean_softmax_under_noise(place: Path) -> None:
    """Its clean predictions are those of the module, and its images and eps are those of the run."""
    smoothed, base = results(), results("trained")
    model = smoothed["model"]
    assert (model["source"], model["name"]) == ("smoothed:0.25x4:trained", "smoothed-0.25x4-trained")
    assert model["parameters"] == base["model"]["parameters"]
    assert model["fingerprint"] != base["model"]["fingerprint"]
    assert [attack["name"] for attack in smoothed["attacks"]] == ["clean", "fgsm", "deepfool", "worst_case"]
    assert smoothed["data"] == base["data"]
    assert smoothed["eps"] == {"value": "0.02", "from": "training"}
    rows = read_outcomes(place / "out" / "smoothed-0.25x4-trained" / "outcomes.parquet").of("clean")
    test = data.load("digits").test.select(rows.image.tolist())
    with torch.no_grad():
        expected = SmoothedModel(load_network(place / "trained"), 0.25, 4)(test.floats())
    assert rows.prediction.tolist() == expected.argmax(dim=1).tolist()
    failed = {check["name"] for check in smoothed["sanity"] if not check["passed"]}
    assert not failed & {"clean_accuracy", "repeatable", "batch", "gradients", "derivative", "logits", "normalisation"}


@pytest.mark.usefixtures("place")
def test_the_page_and_its_table_hold_it() -> None:
    assert "smoothed-0.25x4-trained" in Path("out/report.html").read_text()
    with Path("out/results.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["model"] == "smoothed-0.25x4-trained"]
    deepfool = next(row for row in rows if row["attack"] == "deepfool")
    assert float(deepfool["median_l2"]) > 0


@pytest.mark.usefixtures("place")
def test_its_votes_are_certified_beside_its_attacks() -> None:
    command = "certify smoothed:0.25x4:trained --certification.images 5 --certification.n 20 --certification.n0 5"
    assert main(f"{command} --certification.alpha 0.1 --threads 1 --out out".split()) == 0
    found = results()
    assert [row["name"] for row in found["certificates"]] == ["smoothing"]
    assert [attack["name"] for attack in found["attacks"]] == ["clean", "fgsm", "deepfool", "worst_case"]


def test_its_layers_are_those_of_its_base_under_noise(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = "vulnerability smoothed:0.25x4:trained trained --images 8 --batch_size 8 --attack.steps 2 --threads 1"
    assert main(f"{command} --out measured".split()) == 0
    assert "eps = 0.02, as in training" in capsys.readouterr().err
    rows = read_layers(place / "measured" / "vulnerability.csv")
    layers = [[row.layer for row in rows if row.model == name] for name in ("smoothed-0.25x4-trained", "trained")]
    assert layers[0] == [f"base.{layer}" for layer in layers[1]]
    assert all(row.vulnerability > 0 for row in rows if row.height > 1)
    assert len({row.vulnerability for row in rows if row.layer.endswith("stages.0")}) == 2


@pytest.mark.usefixtures("place")
@pytest.mark.parametrize("command", ["evaluate", "certify", "vulnerability"])
@pytest.mark.parametrize(
    ("model", "says"),
    [
        ("smoothed:0:trained", "SIGMA: expected a number > 0"),
        ("smoothed:trained", "expected smoothed:SIGMA:MODEL"),
        ("smoothed:0.5:absent", "absent holds no trained network, it does not exist"),
    ],
)
def test_a_wrong_text_is_told_in_one_line(command: str, model: str, says: str, refused: Refused) -> None:
    refused(f"{command} {model} --out other", says, apart=["other"])


@pytest.mark.usefixtures("place")
def test_it_has_no_place_of_its_own_for_results(refused: Refused) -> None:
    refused(
        f"evaluate smoothed:0.5:trained {FEW}",
        "smoothed:0.5:trained is no run directory, which would keep its results: give --out FOLDER",
    )
