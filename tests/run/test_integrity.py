"""What was damaged, edited or comes from another run is refused in one line; what older versions wrote is accepted."""

from __future__ import annotations

import importlib.util
import json
import random
import shutil
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from rnas.certification import CertificationSettings, read_certificates
from rnas.cli import main
from rnas.commands.certify import run_certification
from rnas.commands.config import CertifyCommand, EvaluateCommand
from rnas.commands.evaluate import run_evaluation
from rnas.config import Distance
from rnas.data.cache import read as read_cached
from rnas.data.cache import write as write_cached
from rnas.data.images import Decoded, LabelledImages
from rnas.errors import RnasError, RunError
from rnas.evaluation import read_outcomes
from rnas.evaluation.config import EvaluationSettings
from rnas.genotype import Cell, Edge, Genotype
from rnas.models import NetworkSpec
from rnas.models.spec import load_network
from rnas.networks import NetworkConfig
from rnas.run.checkpoints import load_checkpoint, read_weights, save_checkpoint, save_tensors
from rnas.run.contents import read_folder
from rnas.run.directory import Run
from rnas.run.files import read_bytes, read_summary
from rnas.run.integrity import KEY, blank, identity, owner_of, read_comment, seal_document, verify
from rnas.run.manifest import read_manifest
from rnas.run.opening import open_run
from rnas.run.results import read_results

FLIPS = 150
STATE = {"step": 3, "name": "some", "weight": torch.linspace(-1, 1, 50)}
CELL = Cell(tuple((Edge("skip_connect", 0), Edge("skip_connect", 1)) for _ in range(4)), (2, 3, 4, 5))


def make_run(folder: Path, seed: int, *, finished: bool = True) -> None:
    """A training as it leaves its files, without its steps."""
    config = {"data": {"source": "digits", "limit": 40}, "network": {"name": "racl"}, "seed": seed}
    with open_run(folder, "train", config, seed=seed, device="cpu") as run:
        run.record("images", "of some kind")
        spec = NetworkSpec.of(
            NetworkConfig(name="racl", channels=2, cells=3), num_classes=10, in_channels=1, image_size=(8, 8)
        )
        spec.save(folder, run=run.identity)
        for step in range(4):
            run.log("step", step=step, epoch=0, loss=seed + 1 / (step + 1), accuracy=0.1, learning_rate=0.1)
        run.save_checkpoint(STATE | {"seed": seed})
        run.write_json("splits.json", {"train": [1, 2], "validation": [3]})
        if finished:
            run.write_tensors("weights.safetensors", spec.build(seed=seed).state_dict())
            run.finish()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two trainings of two seeds, attacked, their images kept; and two that are not finished."""
    place = tmp_path_factory.mktemp("made")
    for seed, name in enumerate(("own", "other")):
        make_run(place / name, seed)
        make_run(place / f"{name}_half", seed, finished=False)
    settings = EvaluationSettings(attacks=["fgsm", "pgd2"], eps=Distance("0.1"), images=20)
    names = [str(place / "own"), str(place / "other")]
    run_evaluation(names, EvaluateCommand(evaluation=settings, threads=1, save_images=2))
    certification = CertificationSettings(methods=["interval"], halvings=1, images=20)
    run_certification(names, CertifyCommand(certification=certification, threads=1))
    return place


@pytest.fixture
def place(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of what was made, as the working directory."""
    shutil.copytree(made, tmp_path / "place")
    monkeypatch.chdir(tmp_path / "place")
    return tmp_path / "place"


def damaged(content: bytes, chance: random.Random) -> bytes:
    """A content with a bit flipped or, rarely, its end cut off."""
    if chance.random() < 0.1:
        return content[: chance.randrange(len(content))]
    position = chance.randrange(len(content))
    return content[:position] + bytes([content[position] ^ 1 << chance.randrange(8)]) + content[position + 1 :]


def line_of(command: str, capsys: pytest.CaptureFixture[str]) -> str:
    """The one line that a command ends with."""
    capsys.readouterr()
    assert main(command.split()) == 2
    (line,) = [text for text in capsys.readouterr().err.splitlines() if text.startswith("rnas: error: ")]
    return line


def test_no_flipped_bit_of_a_document_passes_for_its_content() -> None:
    content = seal_document({"name": "a", "values": [1, 2.5]}, run="ab" * 32)
    seal = verify(content)
    assert seal is not None
    assert seal.run == "ab" * 32
    document = json.loads(content)
    del document[KEY]
    for position in range(len(content)):
        for bit in range(8):
            changed = bytearray(content)
            changed[position] ^= 1 << bit
            try:
                assert verify(bytes(changed)) is None
                found = json.loads(bytes(changed))
            except ValueError:
                continue
            # Without its mark it is a file of an older version, and all that it says is still right.
            assert {**found, **document} == found


def test_a_document_is_sealed_anew_with_each_change() -> None:
    first = seal_document({"a": 1})
    again = seal_document(json.loads(first) | {"a": 2})
    assert verify(again) != verify(first)
    assert again.count(b"checksum") == 1
    assert verify(b"no seal at all") is None
    with pytest.raises(ValueError, match="checksum"):
        verify(blank().encode())


@pytest.mark.parametrize("name", ["checkpoint.pt", "weights.safetensors", "outcomes.parquet", "certificates.parquet"])
def test_random_damage_to_a_binary_file_never_gives_other_content(name: str, place: Path) -> None:
    readers: dict[str, Callable[[Path], list[tuple[str, bytes]]]] = {
        "checkpoint.pt": lambda path: flat(load_checkpoint(path)),
        "weights.safetensors": lambda path: flat(read_weights(path)),
        "outcomes.parquet": lambda path: flat(vars(read_outcomes(path))),
        "certificates.parquet": lambda path: flat(vars(read_certificates(path))),
    }
    path, chance = place / "own" / name, random.Random(name)
    read, content = readers[name], path.read_bytes()
    expected, refused = read(path), 0
    for _ in range(FLIPS):
        path.write_bytes(damaged(content, chance))
        try:
            assert read(path) == expected
        except RunError:
            refused += 1
    assert refused > 0.9 * FLIPS
    path.write_bytes(b"")
    with pytest.raises(RunError, match=name):
        read(path)


def flat(values: Mapping[str, object]) -> list[tuple[str, bytes]]:
    """Values of a kind each, comparable."""
    return [
        (key, value.numpy().tobytes() if isinstance(value, torch.Tensor) else np.asarray(value).tobytes())
        for key, value in sorted(values.items())
    ]


def test_a_checkpoint_of_an_older_version_is_read_and_its_records_checked(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.pt"
    torch.save(STATE, path)
    assert load_checkpoint(path)["step"] == 3
    content = bytearray(path.read_bytes())
    content[content.index(STATE["weight"].numpy().tobytes()) + 7] ^= 4  # type: ignore[attr-defined]
    path.write_bytes(content)
    with pytest.raises(RunError, match="damaged"):
        load_checkpoint(path)
    save_checkpoint(path, STATE, {"run": "x"})
    assert read_comment(path)["run"] == "x"


@pytest.mark.parametrize("name", ["weights.safetensors", "model.json", "genotype.json", "results.json"])
@pytest.mark.parametrize("command", ["report own", "evaluate own --threads 1", "export own", "load"])
def test_a_file_of_another_run_is_told_as_such(
    name: str, command: str, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if (command == "load" and name in ("results.json", "genotype.json")) or (
        (name, command) in (("genotype.json", "evaluate own --threads 1"), ("model.json", "report own"))
    ):
        return  # not read
    (place / "own" / name).write_bytes((place / "other" / name).read_bytes())
    if command == "load":
        with pytest.raises(RnasError, match="are of two runs"):
            load_network(place / "own")
    else:
        assert f"own/{name} and own/manifest.json are of two runs" in line_of(command, capsys)


def test_a_manifest_of_another_run_is_told_as_such(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (place / "own" / "manifest.json").write_bytes((place / "other" / "manifest.json").read_bytes())
    assert "of two runs" in line_of("evaluate own --threads 1", capsys)
    assert "of two runs" in line_of("report own", capsys)
    assert "own/config.yaml does not hold the settings of" in line_of("train --resume own", capsys)


def test_an_edited_manifest_is_told_in_a_line(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = place / "own" / "manifest.json"
    path.write_text(path.read_text().replace('"seed": 0', '"seed": 7'))
    assert "own/manifest.json is damaged: its checksum does not fit its content; if it was edited by hand" in line_of(
        "report own", capsys
    )
    document = json.loads(path.read_text())
    path.write_bytes(seal_document({**document, "config": {**document["config"], "seed": 0}}))
    with pytest.raises(RunError, match="its seed is 7, its settings have another"):
        read_manifest(place / "own")


@pytest.mark.parametrize("content", [b"", b"seed: 1\n", b"\xff\xfe"])
def test_other_settings_than_the_run_has_are_told(
    content: bytes, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (place / "own" / "config.yaml").write_bytes(content)
    for command in ("report own", "train --resume own", "train --config own/config.yaml --out new"):
        assert "own/config.yaml" in line_of(command, capsys)


@pytest.mark.parametrize("folder", ["own", "own_half"])
@pytest.mark.parametrize("damage", [lambda _: b"", lambda text: text.replace(b"0.1", b"0.7"), lambda text: text[:-90]])
def test_lines_that_the_run_did_not_write_are_told(
    folder: str, damage: Callable[[bytes], bytes], place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = place / folder / "metrics.jsonl"
    path.write_bytes(damage(path.read_bytes()))
    assert f"{folder}/metrics.jsonl" in line_of(f"report {folder}", capsys)
    manifest = read_manifest(place / folder)
    with (
        pytest.raises(RunError, match=r"metrics\.jsonl"),
        open_run(place / folder, "train", manifest["config"], seed=0, device="cpu") as run,
    ):
        resume(run)


def resume(run: Run) -> None:
    if not run.complete(lambda _: None):
        run.load_checkpoint()


def test_lines_after_the_last_checkpoint_are_of_no_account(place: Path) -> None:
    with (place / "own_half" / "metrics.jsonl").open("a") as file:
        file.write('{"kind": "step", "step": 4, "epoch": 0, "loss": 1.0}\n{"ki')
    assert len(read_folder(place / "own_half").models[0].metrics.records) == 5
    manifest = read_manifest(place / "own_half")
    with open_run(place / "own_half", "train", manifest["config"], seed=0, device="cpu") as run:
        assert run.load_checkpoint() is not None
    assert (place / "own_half" / "metrics.jsonl").read_bytes().count(b"\n") == 4


@pytest.mark.parametrize("source", ["other/adversarial/pgd2.safetensors", "own/adversarial/fgsm.safetensors"])
def test_images_of_another_model_or_attack_are_told(
    source: str, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = place / "own" / "adversarial" / "pgd2.safetensors"
    path.write_bytes((place / source).read_bytes())
    expected = "own/adversarial/pgd2.safetensors holds images of another model or attack"
    assert expected in line_of("report own", capsys)
    path.write_bytes(damaged(path.read_bytes()[:-1], random.Random(0)))
    assert "own/adversarial/pgd2.safetensors is damaged" in line_of("report own", capsys)


def test_results_of_other_weights_are_not_shown(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Weights of the same run that were made anew, and came out otherwise: the accuracies are not theirs."""
    path = place / "own" / "weights.safetensors"
    weights = {name: tensor + 1 for name, tensor in read_weights(path).items()}
    save_tensors(path, weights, run=identity(read_manifest(place / "own")))
    for command in ("report own", "export own"):
        assert "own/results.json tells of other weights than own/weights.safetensors holds" in line_of(command, capsys)


def test_weights_of_something_else_are_refused(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = place / "own" / "weights.safetensors"
    save_file(load_file(path), path)
    assert "own/weights.safetensors is damaged or of another run: it has no checksum" in line_of("export own", capsys)


def test_results_without_the_checksum_of_their_search_are_refused(tmp_path: Path) -> None:
    """Also where only its mark was damaged, which makes a file look like one of an older version."""
    with open_run(tmp_path, "search", {}, seed=0, device="cpu") as run:
        run.write_json("results.json", {"F": 1.0})
        run.finish()
    path = tmp_path / "results.json"
    assert read_summary(tmp_path)["F"] == 1
    path.write_bytes(path.read_bytes().replace(b"rnas-sha256:", b"rnas-sha257:"))
    with pytest.raises(RunError, match=r"results\.json is damaged or of another run: it has no checksum"):
        read_summary(tmp_path)


def test_a_folder_of_results_is_of_one_model(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = "evaluate {}:own/weights.safetensors --data digits --evaluation.attacks [] --threads 1 --out all"
    small = " --evaluation.images 4 --evaluation.eps 0.1"
    assert main((command.format("racl") + small).split()) == 0
    (place / "own" / "weights.safetensors").write_bytes((place / "other" / "weights.safetensors").read_bytes())
    (place / "own" / "manifest.json").unlink()
    before = (place / "all" / "racl-own" / "manifest.json").read_bytes()
    assert "all/racl-own holds results of another model" in line_of(command.format("racl") + small, capsys)
    assert (place / "all" / "racl-own" / "manifest.json").read_bytes() == before


def test_what_an_older_version_left_is_accepted(place: Path) -> None:
    expected = read_results(place / "own" / "results.json").attacks
    for path in (place / "own").glob("*.json"):
        document = json.loads(path.read_text())
        for key in (KEY, "files"):
            document.pop(key, None)
        for key in ("fingerprint", "weights"):
            document.get("model", {}).pop(key, None)
        path.write_text(json.dumps(document))
    for path in (place / "own").rglob("*.safetensors"):
        save_file(load_file(path), path)
    torch.save({**STATE, "run": "", "metrics_bytes": 0}, place / "own" / "checkpoint.pt")
    assert main(["report", "own"]) == 0
    assert read_results(place / "own" / "results.json").attacks == expected
    assert KEY not in json.loads((place / "own" / "results.json").read_text())
    attacks = "--evaluation.attacks fgsm,pgd2 --evaluation.images 20 --evaluation.eps 0.1 --threads 1"
    assert main(["evaluate", "own", *attacks.split()]) == 0
    assert KEY in json.loads((place / "own" / "results.json").read_text())


def test_a_genotype_is_checked_wherever_it_lies(tmp_path: Path) -> None:
    path = tmp_path / "genotype.json"
    path.write_bytes(seal_document(Genotype({"normal": CELL, "reduce": CELL}).to_document(), "ab" * 32))
    assert Genotype.load(path).kinds == ("normal", "reduce")
    path.write_bytes(path.read_bytes().replace(b"skip_connect", b"skip_connecu", 1))
    with pytest.raises(RnasError, match=r"genotype\.json is damaged: its checksum"):
        Genotype.load(path)


def test_cached_images_of_another_data_set_are_decoded_anew(tmp_path: Path) -> None:
    images = LabelledImages(torch.zeros(2, 1, 4, 4, dtype=torch.uint8), torch.tensor([0, 1]))
    for name in ("a", "b"):
        write_cached(tmp_path / f"{name}.safetensors", Decoded(("x", "y"), images, None))
    path = tmp_path / "a.safetensors"
    assert read_cached(path) is not None
    content = path.read_bytes()
    path.write_bytes((tmp_path / "b.safetensors").read_bytes())
    assert read_cached(path) is None
    chance = random.Random(0)
    for _ in range(FLIPS):
        path.write_bytes(damaged(content, chance))
        found = read_cached(path)
        assert found is None or torch.equal(found.train.images, images.images)


def test_saved_images_belong_to_their_model_and_attack(place: Path) -> None:
    results = read_folder(place / "own").models[0].results
    assert results is not None
    for attack in ("fgsm", "pgd2"):
        seal = verify(read_bytes(place / "own" / "adversarial" / f"{attack}.safetensors"))
        assert seal is not None
        assert seal.run == owner_of(results.model, attack)


@pytest.fixture
def damage(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ModuleType:
    """benchmarks/damage.py."""
    path = Path(__file__).parents[2] / "benchmarks" / "damage.py"
    specification = importlib.util.spec_from_file_location("damage", path)
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    monkeypatch.setitem(sys.modules, "damage", module)
    specification.loader.exec_module(module)
    monkeypatch.chdir(tmp_path)
    return module


def test_a_sample_of_the_campaign(damage: ModuleType, tmp_path: Path) -> None:
    campaign, chance = damage.Campaign(tmp_path, ["interrupted training"]), random.Random(1)
    ends = [campaign.trial(chance) for _ in range(12)]
    assert {end for *_, end, _ in ends} <= {"refused", "harmless"}, ends
