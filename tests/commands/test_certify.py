"""`rnas certify` from the command line: what is proved, beside what attacks leave, in one place."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from rnas.certification import read_certificates
from rnas.cli import main

TRAIN = (
    "train --data digits --network.name resnet18 --network.channels 2 --training.epochs 1 --training.batch_size 64 "
    "--training.learning_rate 0.1 --training.attack.steps 1 --training.attack.eps 0.02 --threads 1"
)
CERTIFY = "--certification.methods interval --certification.halvings 2 --certification.batch_size 5 --threads 1"
EVALUATE = "evaluate trained --evaluation.attacks fgsm,pgd2 --evaluation.images 12 --threads 1"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert main(f"{TRAIN} --out trained".split()) == 0
    return folder


@pytest.fixture
def place(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "place"
    shutil.copytree(made, folder)
    monkeypatch.chdir(folder)
    return folder


def certify(images: int, models: str = "trained", settings: str = "") -> None:
    assert main(f"certify {models} --certification.images {images} {CERTIFY} {settings}".split()) == 0


def document(path: str = "trained") -> dict[str, Any]:
    found: dict[str, Any] = json.loads(Path(path, "results.json").read_text())
    return found


def certificates(path: str = "trained") -> dict[str, dict[str, Any]]:
    return {row["name"]: row for row in document(path).get("certificates", [])}


@pytest.mark.usefixtures("place")
def test_proofs_and_attacks_stand_in_one_row_whichever_came_first(capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree("trained", "second")
    certify(12)
    assert "bracket" not in certificates()["interval"]
    assert "Intervals" in capsys.readouterr().out
    assert main(EVALUATE.split()) == 0
    assert "Certified <= robust <= attacked" in capsys.readouterr().out
    row = certificates()["interval"]
    assert row["eps"] == 0.02  # as in training
    assert (row["bracket"]["attacks"], row["bracket"]["broken"]) == (["fgsm", "pgd2"], 0)
    assert row["accuracy"] <= row["bracket"]["attacked"] <= row["clean"]
    # Each row keeps the call that made it.
    assert row["call"] not in {attack["call"] for attack in document()["attacks"]}
    assert main(EVALUATE.replace("trained", "second").split()) == 0
    certify(12, "second")
    timeless = {"seconds": None, "call": None}
    assert certificates("second")["interval"] | timeless == row | timeless
    assert [attack["name"] for attack in document("second")["attacks"]] == ["clean", "fgsm", "pgd2", "worst_case"]


@pytest.mark.usefixtures("place")
def test_nothing_is_proved_twice_and_more_images_are_added() -> None:
    certify(7)
    kept = Path("trained/certificates.parquet")
    first, before = kept.stat().st_mtime_ns, read_certificates(kept)
    certify(7)
    assert kept.stat().st_mtime_ns == first
    certify(12)
    after = read_certificates(kept)
    assert certificates()["interval"]["images"] == 12
    assert after.on(before.image).of("interval").to_table().equals(before.of("interval").to_table())


@pytest.mark.usefixtures("place", "drawn")
def test_the_page_the_table_and_the_card_show_it() -> None:
    certify(12)
    assert main(EVALUATE.split()) == 0
    assert main(["report", "trained"]) == 0
    page = Path("trained/report.html").read_text()
    assert "Certified accuracy" in page
    assert Path("trained/figures/certificates.png").stat().st_size > 10_000
    with Path("trained/results.csv").open() as file:
        rows = {row["attack"]: row for row in csv.DictReader(file)}
    assert float(rows["certified/interval"]["accuracy"]) == certificates()["interval"]["accuracy"]
    assert json.loads(rows["certified/interval"]["settings"])["eps"] == 0.02
    assert main(["export", "trained"]) == 0
    card = Path("trained/export/README.md").read_text()
    assert "## Certified accuracy" in card
    assert "| trained | Intervals | Linf 0.02 | 12 |" in card


@pytest.mark.usefixtures("place")
def test_any_model_in_a_folder_of_its_own() -> None:
    certify(6, "resnet18:trained/weights.safetensors trained", "--data digits --out all")
    both = [certificates(f"all/{name}")["interval"] for name in ("resnet18-trained", "trained")]
    assert {row["eps"] for row in both} == {8 / 255, 0.02}
    assert not Path("trained/results.json").exists()


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ("--certification.methods crwon", ("certification.methods", "did you mean 'crown'")),
        ("--certification.methods interval,interval", ("certification.methods", "each method once")),
        ("--certification.eps 0", ("certification.eps", "above 0")),
        ("--certification.eps 8", ("certification.eps", "did you mean 8/255?")),
        ("--certification.halvings 31", ("certification.halvings", "from 0 to 30", "31")),
        ("--certification.n 0", ("certification.n", "at least 1", "0")),
        ("--certification.alpha 1", ("certification.alpha", "(0, 1)", "1")),
        ("--certification.images 0", ("certification.images", "at least 1", "0")),
        ("--certification.methods smoothing", ("trained", "smoothed:SIGMA:MODEL")),
        ("--evaluation.eps 0.1", ("no setting is called '--evaluation.eps'",)),
    ],
)
def test_one_line_says_what_is_wrong(
    settings: str, says: tuple[str, ...], place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(f"certify trained --threads 1 {settings}".split()) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert error.startswith("rnas: error: ")
    for words in says:
        assert words in error
    assert not (place / "trained/results.json").exists()


@pytest.mark.usefixtures("place")
def test_other_settings_do_not_mix(capsys: pytest.CaptureFixture[str]) -> None:
    certify(6)
    before = Path("trained/certificates.parquet").read_bytes()
    assert main(f"certify trained --certification.eps 0.01 {CERTIFY}".split()) == 2
    assert "another eps of interval (0.02 there, 0.01 here)" in capsys.readouterr().err
    assert Path("trained/certificates.parquet").read_bytes() == before
