"""`rnas export`: the files, the card, and what they say of the run."""

import hashlib
import json
import re
import shutil
from pathlib import Path

import pytest
import torch

import rnas
from rnas.cli import main
from rnas.models import exporting
from rnas.reports import model_card
from rnas.reports.card import ExportedFile, NetworkFacts
from rnas.reports.sharing import shareable_command
from rnas.run.integrity import seal_document

TRAIN = (
    "train --data.limit 40 --threads 1 --training.epochs 1 --training.batch_size 20 --training.attack.steps 1 "
    "--network.name racl --network.channels 2 --network.cells 1"
)
ATTACK = "--evaluation.attacks [fgsm] --evaluation.images 20 --threads 1"


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network of cells, trained and attacked by FGSM."""
    run = tmp_path_factory.mktemp("trained") / "found"
    assert main([*TRAIN.split(), "--out", str(run)]) == 0
    assert (
        main(["evaluate", str(run), *["--evaluation.attacks", "[fgsm]", "--evaluation.images", "20", "--threads", "1"]])
        == 0
    )
    return run


@pytest.mark.usefixtures("drawn")
def test_the_card_tells_what_the_run_knows(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(exporting, "ONNX_PACKAGES", ("a_package_that_nobody_has",))
    assert main(["export", str(trained), "--out", str(tmp_path)]) == 0
    assert "no ONNX: it needs the packages onnx" in capsys.readouterr().out
    assert sorted(path.name for path in tmp_path.iterdir()) == ["README.md", "cells.png", "cells.svg", "model.pt2"]
    card = (tmp_path / "README.md").read_text(encoding="utf-8")
    manifest = json.loads((trained / "manifest.json").read_text())
    plain = card.replace("\\", "")
    results = json.loads((trained / "results.json").read_text())
    for call in (manifest, *results["calls"]):
        assert shareable_command(call["command"]) in plain
    assert f"| Seed | {manifest['seed']} |" in card
    assert str(manifest["git_commit"]) in card
    assert manifest["hardware"]["cpu"] in plain
    assert hashlib.sha256((tmp_path / "model.pt2").read_bytes()).hexdigest() in card
    for attack in results["attacks"]:
        interval = f"[{100 * attack['low']:.1f}, {100 * attack['high']:.1f}]"
        assert f"| {100 * attack['accuracy']:.1f}% | {interval} | {attack['images']} |" in card
    for verdict in results["sanity"]:
        assert verdict["passed"] or verdict["finding"] in plain
    genotype = rnas.Genotype.load(trained / "genotype.json")
    edges = sum(len(node) for _, cell in genotype.cells for node in cell.nodes)
    assert len(re.findall(r"\w+\((?:c_\(k-\d\)|\d)\)", plain)) == edges
    assert "](cells.svg)" in card
    # Of the objectives' settings only those of its own.
    assert "training.attack.eps" in plain
    assert not any(f"training.{objective}." in plain for objective in ("trades", "mart", "fast_at"))


def test_the_program_is_the_network_that_load_gives(trained: Path, tmp_path: Path) -> None:
    assert main(["export", str(trained), "--out", str(tmp_path)]) == 0
    images = torch.rand(3, 1, 8, 8)
    program = torch.export.load(str(tmp_path / "model.pt2")).module()
    torch.testing.assert_close(program(images), rnas.load(trained)(images))
    if exporting.onnx_is_installed():
        assert (tmp_path / "model.onnx").exists()


def test_a_network_that_was_not_attacked_says_how_to_do_it(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exporting, "ONNX_PACKAGES", ("a_package_that_nobody_has",))
    run = tmp_path / "run"
    shutil.copytree(trained, run)
    (run / "results.json").unlink()
    manifest = json.loads((run / "manifest.json").read_text())
    stop = {"epoch": 3, "epochs": 9, "patience": 2, "kept": 1}
    (run / "manifest.json").write_bytes(seal_document({**manifest, "early_stop": stop}))
    assert main(["export", str(run)]) == 0
    assert "Training stopped early after epoch 3 of 9" in (run / "export" / "README.md").read_text(encoding="utf-8")
    assert "Not measured yet: `rnas evaluate run`" in (run / "export" / "README.md").read_text(encoding="utf-8")


def test_the_card_holds_no_path_of_this_machine(trained: Path, tmp_path: Path) -> None:
    """Paths came in by the command, the data, and what a transfer was made on."""
    run = tmp_path / "run"
    run.mkdir()
    manifest, results = (json.loads((trained / f"{name}.json").read_text()) for name in ("manifest", "results"))
    for document in (manifest, results):
        del document["checksum"]  # as of an older version
    del manifest["files"]
    command = f"rnas train --data '{tmp_path}/my pictures' --out {run}"
    manifest["config"]["data"]["source"] = f"{tmp_path}/my pictures"
    (run / "manifest.json").write_text(json.dumps({**manifest, "command": command}))
    results["calls"][0]["command"] = command
    results["data"]["name"] = f"{tmp_path}/my pictures"
    results["attacks"][-1]["settings"]["from"] = f"{tmp_path}/second.pt"
    (run / "results.json").write_text(json.dumps(results))
    network = NetworkFacts("found", (1, 8, 8), 10, 1000, 1000)
    card = model_card(run, network, [ExportedFile("model.pt2", 0.0, "0" * 64)]).replace("\\", "")
    assert str(tmp_path) not in card
    for kept in (
        "rnas train --data '.../my pictures' --out .../run",
        "data.source | .../my pictures |",
        ".../second.pt",
    ):
        assert kept in card


@pytest.mark.parametrize("missing", ["manifest.json", "model.json", "weights.safetensors"])
def test_what_is_no_trained_network_is_refused_before_anything_is_written(
    missing: str, trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    shutil.copytree(trained, run)
    (run / missing).unlink()
    assert main(["export", str(run)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert missing in line
    assert not (run / "export").exists()


def test_a_run_that_does_not_record_the_size_of_its_images_says_what_to_add(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    shutil.copytree(trained, run)
    document = json.loads((run / "model.json").read_text())
    assert document.pop("image_size") == [8, 8]
    (run / "model.json").write_bytes(seal_document(document))
    assert main(["export", str(run)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert 'add to it, for 32x32, "image_size": [32, 32]' in line
