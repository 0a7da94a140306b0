"""`rnas evaluate` from the command line: any models, one table, rows that say where they come from."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from rnas.cli import main
from rnas.data import load
from rnas.evaluation import ATTACKS, read_outcomes
from rnas.executors import ExecutorConfig, open_executor
from rnas.executors.registry import Execute
from rnas.models.resolve import load_model

TRAIN = (
    "train --data digits --network.name resnet18 --network.channels 2 --training.epochs 1 --training.batch_size 64 "
    "--training.learning_rate 0.1 --training.attack.steps 1 --training.attack.eps 0.1 --training.attack.step_size 0.1"
)
SMALL = "--evaluation.images 20 --evaluation.batch_size 8 --threads 1"


MODULE = """
import torch
from rnas.models.resolve import load_model

def model():
    return load_model("runs/trained").network

class Rounded(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = model()

    def forward(self, images):
        return self.inner((images * 4).round() / 4)
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert main(f"{TRAIN} --out runs/trained --threads 1".split()) == 0
    (folder / "rnas_test_evaluated.py").write_text(MODULE)
    return folder


@pytest.fixture
def place(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "place"
    shutil.copytree(made, folder)
    monkeypatch.chdir(folder)
    return folder


def document(path: str) -> Any:
    return json.loads(Path(path, "results.json").read_text())


def rows(path: str) -> dict[str, Any]:
    return {row["name"]: row for row in document(path)["attacks"]}


@pytest.mark.usefixtures("place", "drawn")
def test_one_table_of_several_models(capsys: pytest.CaptureFixture[str]) -> None:
    models = "runs/trained resnet18:runs/trained/weights.safetensors rnas_test_evaluated:model"
    command = f"evaluate {models} --data digits --out all --evaluation.attacks fgsm,pgd20 --evaluation.eps 0.1 {SMALL}"
    assert main(command.split()) == 0
    shown = capsys.readouterr().out
    assert shown.count("Accuracy with Wilson 95% intervals") == 1
    names = ["trained", "resnet18-trained", "rnas_test_evaluated.model"]
    # The same network under three names has the same outcomes.
    tables = [read_outcomes(Path("all", name, "outcomes.parquet")).to_table() for name in names]
    assert tables[0].equals(tables[1])
    assert tables[0].equals(tables[2])
    for name in ("report.html", "results.csv", "figures/accuracy.png", "figures/accuracy.svg"):
        assert Path("all", name).stat().st_size > 0
    with Path("all/results.csv").open() as file:
        table = list(csv.DictReader(file))
    assert {row["model"] for row in table} == set(names)
    assert len(table) == 3 * 4
    # Nothing was written where the networks are.
    assert not Path("runs/trained/results.json").exists()


@pytest.mark.usefixtures("place")
def test_run_directories_keep_their_own(capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree("runs/trained", "runs/copy")
    assert main(f"evaluate runs/trained runs/copy --evaluation.attacks fgsm {SMALL}".split()) == 0
    shown = capsys.readouterr().out
    assert shown.count("Accuracy with Wilson") == 1
    assert "figure: runs/figures/comparison.png" in shown
    assert Path("runs/figures/comparison.png").stat().st_size > 0
    assert rows("runs/trained") == {
        name: {**row, "seconds": rows("runs/trained")[name]["seconds"]} for name, row in rows("runs/copy").items()
    }


@pytest.mark.usefixtures("place")
def test_eps_is_that_of_the_training(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(f"evaluate runs/trained --evaluation.attacks pgd20 {SMALL}".split()) == 0
    assert "eps = 0.1, as in training" in " ".join(capsys.readouterr().out.split())
    settings = rows("runs/trained")["pgd20"]["settings"]
    assert (settings["eps"], settings["step_size"]) == (0.1, 0.025)
    given = f"evaluate runs/trained --out other --evaluation.eps 4/255 --evaluation.attacks pgd20 {SMALL}"
    assert main(given.split()) == 0
    assert "eps = 4/255" in " ".join(capsys.readouterr().out.split())
    settings = rows("other/trained")["pgd20"]["settings"]
    assert (settings["eps"], settings["step_size"]) == (4 / 255, 1 / 255)
    weights = "resnet18:runs/trained/weights.safetensors"
    assert main(f"evaluate {weights} --data digits --out third --evaluation.attacks fgsm {SMALL}".split()) == 0
    assert rows("third/resnet18-trained")["fgsm"]["settings"]["eps"] == 8 / 255


@pytest.mark.usefixtures("place")
def test_results_keep_what_earlier_calls_found(monkeypatch: pytest.MonkeyPatch) -> None:
    for attack in ("fgsm", "pgd20"):
        command = f"evaluate runs/trained --evaluation.attacks {attack} {SMALL}"
        monkeypatch.setattr("sys.argv", ["rnas", *command.split()])
        assert main() == 0
        if attack == "fgsm":
            first = rows("runs/trained")
    together = rows("runs/trained")
    assert list(together) == ["clean", "fgsm", "pgd20", "worst_case"]
    assert together["worst_case"]["settings"]["attacks"] == ["fgsm", "pgd20"]
    assert {**together["fgsm"], "call": 0} == {**first["fgsm"], "call": 0}
    # Each row names the call that made it.
    calls = document("runs/trained")["calls"]
    commands = {name: calls[row["call"]]["command"] for name, row in together.items()}
    assert commands["fgsm"] == f"rnas evaluate runs/trained --evaluation.attacks fgsm {SMALL}"
    assert commands["pgd20"] == f"rnas evaluate runs/trained --evaluation.attacks pgd20 {SMALL}"
    assert commands["clean"] == commands["fgsm"]
    assert commands["worst_case"] == commands["pgd20"]
    assert main(["report", "runs"]) == 0
    with Path("runs/results.csv").open() as file:
        assert {row["attack"]: row["command"] for row in csv.DictReader(file)} == commands
    # The same call again changes nothing but the time at which it ended, and that only in its own rows.
    before = document("runs/trained")
    assert main() == 0
    assert document("runs/trained") == before


@pytest.mark.usefixtures("place")
def test_attacks_within_another_eps_are_not_mixed_in() -> None:
    common = f"evaluate runs/trained --out one {SMALL} --evaluation.attacks"
    assert main(f"{common} fgsm --evaluation.eps 0.05".split()) == 0
    assert main(f"{common} pgd20 --evaluation.eps 0.1".split()) == 0
    assert list(rows("one/trained")) == ["clean", "pgd20", "worst_case"]
    assert main(f"{common} [] --evaluation.eps 0.05".split()) == 0
    assert list(rows("one/trained")) == ["clean", "fgsm", "worst_case"]


@pytest.mark.usefixtures("place")
def test_saved_images_are_those_of_the_outcomes() -> None:
    """Also where the outcomes were there before: a batch attacked again gives the images that it gave."""
    command = f"evaluate runs/trained --out all --evaluation.attacks fgsm,pgd20,cw {SMALL} --evaluation.cw_steps 10"
    assert main(command.split()) == 0
    assert not Path("all/trained/adversarial").exists()
    outcomes = Path("all/trained/outcomes.parquet").read_bytes()
    assert main(f"{command} --save_images 9".split()) == 0
    assert Path("all/trained/outcomes.parquet").read_bytes() == outcomes
    assert main(f"{command.replace('all', 'fresh')} --save_images 9".split()) == 0
    network = load_model("runs/trained").network
    test = load("digits").test
    for attack in ("fgsm", "pgd20", "cw"):
        saved = load_file(f"all/trained/adversarial/{attack}.safetensors")
        for name, tensor in load_file(f"fresh/trained/adversarial/{attack}.safetensors").items():
            assert torch.equal(tensor, saved[name])
        recorded = read_outcomes(Path("all/trained/outcomes.parquet")).of(attack)
        row = {int(image): number for number, image in enumerate(recorded.image)}
        correct = recorded.image[recorded.clean_prediction == recorded.label]
        assert saved["image"].tolist() == correct[:9].tolist()
        at = [row[index] for index in saved["image"].tolist()]
        assert saved["prediction"].tolist() == recorded.prediction[at].tolist()
        assert saved["label"].tolist() == saved["clean_prediction"].tolist() == recorded.label[at].tolist()
        assert torch.equal(saved["clean"], test.select(saved["image"]).floats())
        change = (saved["adversarial"] - saved["clean"]).flatten(1)
        torch.testing.assert_close(change.abs().amax(dim=1).double(), torch.tensor(recorded.linf[at]))
        with torch.no_grad():
            assert network(saved["adversarial"]).argmax(dim=1).tolist() == saved["prediction"].tolist()
    page = Path("all/report.html").read_text()
    assert "Adversarial images" in page
    assert Path("all/figures/adversarial_trained_cw.png").stat().st_size > 0


SHORT = "--evaluation.square_queries 5 --evaluation.apgd_steps 2 --evaluation.cw_steps 2 --evaluation.cw_search_steps 2"


@pytest.mark.usefixtures("place")
def test_eps_of_the_training_bounds_every_attack_in_its_norm() -> None:
    """Of a second call, too, which finds what the first one did."""
    second = f"transfer --evaluation.transfer_from resnet18:runs/trained/weights.safetensors {SHORT}"
    assert main(f"evaluate runs/trained {SMALL} --evaluation.attacks square,apgd_l2,corruptions,{second}".split()) == 0
    first = rows("runs/trained")
    eps = {name: row["settings"]["eps"] for name, row in first.items() if "eps" in row["settings"]}
    assert eps == {"square": 0.1, "apgd_l2": 0.5, "transfer": 0.1, "worst_case": 0.1, "worst_case_l2": 0.5}
    assert first["transfer"]["settings"]["step_size"] == 0.025
    assert first["transfer"]["settings"]["from"] == "resnet18-trained"
    assert first["worst_case"]["settings"]["attacks"] == ["square", "transfer"]
    assert main(f"evaluate runs/trained {SMALL} --evaluation.attacks fgsm".split()) == 0
    both = rows("runs/trained")
    assert both["worst_case"]["settings"]["attacks"] == ["square", "transfer", "fgsm"]
    for name in ("clean", "square", "apgd_l2", "transfer", "corruptions", "worst_case_l2"):
        assert {**both[name], "call": 0} == {**first[name], "call": 0}
    assert both["corruptions"]["seconds"] > 0
    # Within another radius in L2 only the others remain.
    assert main(f"evaluate runs/trained {SMALL} --evaluation.attacks fgsm --evaluation.eps_l2 0.4".split()) == 0
    assert set(both) - set(rows("runs/trained")) == {"apgd_l2", "worst_case_l2"}


@pytest.mark.usefixtures("place")
def test_transfer_from_any_model_gives_the_same() -> None:
    tables = []
    for number, text in enumerate(
        ["runs/trained", "resnet18:runs/trained/weights.safetensors", "rnas_test_evaluated:model"]
    ):
        command = (
            f"evaluate runs/trained --out out{number} --evaluation.attacks transfer --evaluation.transfer_from {text}"
        )
        assert main(f"{command} {SMALL}".split()) == 0
        tables.append(read_outcomes(Path(f"out{number}/trained/outcomes.parquet")).to_table())
    assert tables[0].equals(tables[1])
    assert tables[0].equals(tables[2])


@pytest.mark.usefixtures("place")
def test_saved_images_of_collections_and_of_attacks_on_several_batches() -> None:
    """Attacked a second time for them; corruptions also change misclassified images, of which none is kept."""
    attacks = "square,apgd,transfer,corruptions --evaluation.transfer_from runs/trained"
    command = f"evaluate runs/trained --out all {SMALL} {SHORT} --evaluation.attacks {attacks}"
    assert main(command.split()) == 0
    assert main(f"{command} --save_images 9".split()) == 0
    recorded = read_outcomes(Path("all/trained/outcomes.parquet"))
    folder, network = Path("all/trained/adversarial"), load_model("runs/trained").network
    files = {str(path.relative_to(folder).with_suffix("")): path for path in folder.rglob("*.safetensors")}
    assert set(files) == set(recorded.attack.tolist()) - {"clean"}
    for name, path in files.items():
        saved, under = load_file(path), recorded.of(name)
        correct = (under.clean_prediction == under.label).nonzero()[0][:9]
        assert saved["image"].tolist() == under.image[correct].tolist()
        assert saved["prediction"].tolist() == under.prediction[correct].tolist()
        change = (saved["adversarial"] - saved["clean"]).flatten(1)
        torch.testing.assert_close(change.double().norm(dim=1), torch.tensor(under.l2[correct]))
        with torch.no_grad():
            assert network(saved["adversarial"]).argmax(dim=1).tolist() == saved["prediction"].tolist()
    page = Path("all/report.html").read_text()
    assert Path("all/figures/adversarial_trained_apgd.png").stat().st_size > 0
    assert "knowing the model" not in page


@pytest.mark.usefixtures("place")
def test_failed_checks_reach_the_terminal_the_file_and_the_page(capsys: pytest.CaptureFixture[str]) -> None:
    models = "runs/trained rnas_test_evaluated:Rounded"
    assert main(f"evaluate {models} --data digits --out all --evaluation.attacks fgsm {SMALL}".split()) == 0
    output = capsys.readouterr()
    assert "rnas_test_evaluated.Rounded are upper bounds until the failed sanity checks are explained." in output.out
    warnings = [line for line in output.err.splitlines() if line.startswith("rnas: warning: ")]
    assert any("rnas_test_evaluated.Rounded: sanity check 'gradients' failed: " in line for line in warnings)
    verdicts = {check["name"]: check["passed"] for check in document("all/rnas_test_evaluated.Rounded")["sanity"]}
    assert not verdicts["gradients"]
    assert len(warnings) >= len([name for name, passed in verdicts.items() if not passed])
    page = Path("all/report.html").read_text()
    assert f"{len([1 for passed in verdicts.values() if not passed])} of {len(verdicts)} checks failed" in page


@pytest.mark.usefixtures("place")
def test_more_images_extend_what_is_there(capsys: pytest.CaptureFixture[str]) -> None:
    command = "evaluate runs/trained --out more --threads 1 --evaluation.batch_size 8 --evaluation.attacks"
    assert main(f"{command} fgsm,pgd5x2_margin --evaluation.images 20".split()) == 0
    first = read_outcomes(Path("more/trained/outcomes.parquet"))
    assert main(f"{command} fgsm --evaluation.images 50".split()) == 0
    assert "50" in capsys.readouterr().out
    found = {row["name"]: row for row in document("more/trained")["attacks"]}
    assert {name: row["images"] for name, row in found.items()} == {
        "clean": 50, "fgsm": 50, "pgd5x2_margin": 20, "worst_case": 20
    }  # fmt: skip
    assert document("more/trained")["data"]["images"] == 50
    now = read_outcomes(Path("more/trained/outcomes.parquet"))
    assert now.on(first.image).of("fgsm").to_table().equals(first.of("fgsm").to_table())


def test_help_lists_every_attack_with_its_source(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["evaluate", "--help"])
    assert ended.value.code == 0
    lines = [line.split() for line in capsys.readouterr().out.partition("\nattacks:")[2].splitlines() if line]
    assert [words[0] for words in lines] == [*ATTACKS, "pgdNxR_margin"]
    for name, words in zip(ATTACKS, lines, strict=False):
        assert ATTACKS[name].source in " ".join(words)


@pytest.mark.usefixtures("place")
def test_names_of_classes_are_kept_where_they_say_more_than_numbers() -> None:
    names = [f"shade {'abcdefghij'[label]}" for label in range(10)]
    for part in ("train", "test"):
        for label, name in enumerate(names):
            Path("own", part, name).mkdir(parents=True)
            Image.new("L", (8, 8), 20 * label + len(part)).save(Path("own", part, name, "0.png"))
    assert main(f"evaluate runs/trained --data own --out named --evaluation.attacks fgsm {SMALL}".split()) == 0
    assert document("named/trained")["data"]["class_names"] == names
    assert main(f"evaluate runs/trained --out numbered --evaluation.attacks fgsm {SMALL}".split()) == 0
    assert "class_names" not in document("numbered/trained")["data"]


@pytest.mark.usefixtures("place")
def test_report_finds_models_in_folders_of_folders() -> None:
    assert main(f"evaluate runs/trained --out deep/down --evaluation.attacks fgsm {SMALL}".split()) == 0
    assert main(["report", "deep"]) == 0
    assert "trained" in Path("deep/results.csv").read_text()


@pytest.mark.usefixtures("place")
def test_two_workers_give_the_outcomes_of_one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """To the bit; and what the workers attacked is not attacked again."""
    shutil.copytree("runs/trained", "runs/second")
    line = f"evaluate runs/trained runs/second --evaluation.attacks fgsm,pgd20 --evaluation.eps 0.1 {SMALL}"
    assert main([*line.split(), "--out", "one"]) == 0
    written: dict[str, int] = {}

    @contextmanager
    def watched(config: ExecutorConfig) -> Iterator[Execute]:
        with open_executor(config) as execute:
            yield execute
        for name in ("trained", "second"):
            written[name] = Path("two", name, "outcomes.parquet").stat().st_mtime_ns

    monkeypatch.setattr("rnas.commands.evaluate.open_executor", watched)
    assert main([*line.split(), "--out", "two", "--workers", "2"]) == 0
    for name, time in written.items():
        one, two = (read_outcomes(Path(out, name, "outcomes.parquet")).to_table() for out in ("one", "two"))
        assert one.equals(two)
        assert Path("two", name, "outcomes.parquet").stat().st_mtime_ns == time
    assert len(written) == 2
