"""`rnas tune`: a study that is killed anywhere is the undisturbed one, and what it says is what its runs hold."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from tests.processes import Commands
from tests.tuning import fake_recipe
from tests.tuning.killing import Killed, killing

import rnas
import rnas.commands.trial as trial_module
import rnas.commands.tune as tuning
from rnas.cli import main
from rnas.commands import RecipeCommand
from rnas.errors import RunError
from rnas.networks.zoo import count_multiply_accumulates
from rnas.run.study_results import StudyResults, read_study

optuna = pytest.importorskip("optuna")

FAKE = Path(fake_recipe.__file__)
SPACE = (
    "--space training.learning_rate=0.01..0.2:log --space network.channels=2..16 --space search.algorithm=rnas,largest"
)
TUNE = f"tune quickstart {SPACE} --evaluation.attacks pgd20 --threads 1"


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Trials that take no time."""
    monkeypatch.setattr(trial_module, "complete_recipe", fake_recipe.complete_recipe)
    monkeypatch.chdir(tmp_path)


def tune(options: str, out: str = "study") -> StudyResults:
    assert main([*f"{TUNE} {options} --out {out}".split()]) == 0
    return read_study(Path(out))


def content(results: StudyResults) -> dict[str, Any]:
    """A study without what may differ: nothing."""
    return results.to_json()


@pytest.mark.usefixtures("fake", "drawn")
def test_a_study_says_what_its_runs_hold_and_repeats_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    results = tune("--trials 8 --sampler random")
    said = capsys.readouterr().out
    assert "report: study/report.html" in said
    assert len(results.finished) == 8
    rows = list(csv.DictReader(Path("study/trials.csv").read_text().splitlines()))
    for trial, row in zip(results.trials, rows, strict=True):
        folder = Path("study") / trial.run
        config = json.loads((folder / "manifest.json").read_text())["config"]
        assert config["training"]["learning_rate"] == trial.settings["training.learning_rate"]
        assert config["network"]["channels"] == trial.settings["network.channels"]
        assert config["search"]["algorithm"] == trial.settings["search.algorithm"]
        assert config["baseline"]["name"] is None
        saved = json.loads((folder / "searched" / "results.json").read_text())
        found = {attack["name"]: attack["accuracy"] for attack in saved["attacks"]}
        found["parameters"] = saved["model"]["parameters"]
        assert {name: one.value for name, one in trial.values.items()} == found
        assert float(row["clean"]) == found["clean"]
        assert float(row["clean_low"]) == pytest.approx(found["clean"] - 0.05)
        assert (row["standing"], row["run"]) == (str(trial.standing), trial.run)
        assert row["seed"] == "0"
        assert all(row[key] for key in ("commit", "hardware", "torch"))
    assert [row["chosen"] for row in rows].count("True") == 1
    page = Path("study/report.html").read_text()
    choice = results.choice
    assert choice is not None
    assert f"rnas run quickstart --config study/{choice.run}/config.yaml --out study-trial-{choice.number}" in page
    assert "fANOVA" in page
    assert page.count("<img") == 3
    # Again: no trial runs, and the page is the same.
    monkeypatch.setattr(trial_module, "complete_recipe", None)
    assert content(tune("--trials 8 --sampler random")) == content(results)
    assert Path("study/report.html").read_text() == page
    assert main(["report", "study"]) == 0
    assert Path("study/report.html").read_text() == page
    # The journal is Optuna's own.
    backend = optuna.storages.journal.JournalFileBackend("study/journal.log")
    (study,) = (optuna.load_study(study_name=None, storage=optuna.storages.JournalStorage(backend)),)
    assert [trial.params["network.channels"] for trial in study.trials] == [
        trial.settings["network.channels"] for trial in results.trials
    ]
    front = {trial.number for trial in study.best_trials}
    assert {trial.number for trial in results.finished if trial.standing == "front"} == front


@pytest.mark.usefixtures("fake")
@pytest.mark.parametrize("after", [False, True])
def test_a_study_that_is_killed_is_the_undisturbed_one(after: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Several times, at lines of its journal; tests of the journal kill at every one."""
    undisturbed = content(tune("--trials 4 --startup 2 --batch 2", "undisturbed"))
    backend = optuna.storages.journal.JournalFileBackend
    append = backend.append_logs
    for at in (1, 4, 6):
        monkeypatch.setattr(backend, "append_logs", killing(append, at, after=after))
        with pytest.raises(Killed):
            main([*f"{TUNE} --trials 4 --startup 2 --batch 2 --out killed".split()])
    monkeypatch.setattr(backend, "append_logs", append)
    assert content(tune("--trials 4 --startup 2 --batch 2", "killed")) == undisturbed


@pytest.mark.usefixtures("fake")
def test_a_trial_that_ended_unnoticed_is_not_made_again_and_half_a_line_is_no_loss(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    undisturbed = content(tune("--trials 4 --sampler tpe", "undisturbed"))
    made: list[str] = []

    def count(command: RecipeCommand) -> Path:
        made.append(command.out)
        return fake_recipe.complete_recipe(command)

    monkeypatch.setattr(trial_module, "complete_recipe", count)
    settle = tuning.Tuning.settle
    monkeypatch.setattr(tuning.Tuning, "settle", killing(settle, 2, after=False))  # once on opening, once a trial
    with pytest.raises(Killed):
        main([*f"{TUNE} --trials 4 --sampler tpe --out study".split()])
    assert made == ["study/trials/0000", "study/trials/0001"]
    monkeypatch.setattr(tuning.Tuning, "settle", settle)
    with Path("study/journal.log").open("a") as file:
        file.write('{"op_code":5,"worker')
    Path("study/journal.log.lock").symlink_to("journal.log")  # Optuna's, left by the kill
    assert content(tune("--trials 4 --sampler tpe")) == undisturbed
    assert made == [f"study/trials/{number:04d}" for number in range(4)]


@pytest.mark.usefixtures("fake")
def test_more_trials_go_on_where_a_study_ended() -> None:
    whole = tune("--trials 7 --sampler tpe --startup 3 --batch 2", "whole")
    tune("--trials 3 --sampler tpe --startup 3 --batch 2")
    longer = tune("--trials 7 --sampler tpe --startup 3 --batch 2")
    assert content(longer) == content(whole)
    resumed = main(["tune", "--resume", "study", "--trials", "8"])
    assert resumed == 0
    assert read_study(Path("study")).trials[:7] != ()
    assert len(read_study(Path("study")).finished) == 8


@pytest.mark.usefixtures("fake")
def test_a_grid_ends_with_its_last_point() -> None:
    space = "--space network.channels=2..4 --space search.algorithm=rnas,largest"
    assert (
        main([*f"tune quickstart {space} --sampler grid --evaluation.attacks pgd20 --trials 50 --out grid".split()])
        == 0
    )
    results = read_study(Path("grid"))
    tried = {(trial.settings["network.channels"], trial.settings["search.algorithm"]) for trial in results.finished}
    assert tried == {(channels, name) for channels in (2, 3, 4) for name in ("rnas", "largest")}
    assert len(results.trials) == 6


@pytest.mark.usefixtures("fake")
def test_what_would_fail_again_is_kept_as_failed() -> None:
    command = "tune quickstart --space training.momentum=0.5,0.9 --space search.warmup_epochs=1,8 "
    command += "--space search.epochs=4,8 --sampler grid --evaluation.attacks pgd20 --out study"
    assert main(command.split()) == 0
    failed = {str(trial.settings): trial.reason for trial in read_study(Path("study")).trials if trial.reason}
    # Of eight points four diverge; two have a warm-up longer than the search, and one of these would diverge, too.
    assert len(failed) == 5
    assert sum("the loss is nan" in reason for reason in failed.values()) == 3
    assert sum("at most search.epochs (4)" in reason for reason in failed.values()) == 2
    assert len(read_study(Path("study")).finished) == 3
    page = Path("study/report.html").read_text()
    assert "the loss is nan" in page


@pytest.mark.usefixtures("fake")
def test_what_is_no_fault_of_the_settings_is_tried_again(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(command: RecipeCommand) -> Path:
        if command.out.endswith("0001"):
            raise RunError("cannot write: no space left on device")
        return fake_recipe.complete_recipe(command)

    monkeypatch.setattr(trial_module, "complete_recipe", full)
    assert main([*f"{TUNE} --trials 3 --sampler random --out study".split()]) == 2
    *_, line = capsys.readouterr().err.splitlines()
    assert line.startswith("rnas: error: 1 of 3 trials did not end, the first of them trial 1: ")
    assert "no space left on device; the same command tries these again" in line
    assert [trial.state for trial in read_study(Path("study")).trials] == ["finished", "running", "finished"]
    monkeypatch.setattr(trial_module, "complete_recipe", fake_recipe.complete_recipe)
    assert content(tune("--trials 3 --sampler random")) == content(tune("--trials 3 --sampler random", "other"))


def test_four_workers_make_the_study_of_one(tmp_path: Path, commands: Commands) -> None:
    line = f"{TUNE} --trials 8 --sampler random --plugin {FAKE}"
    found = []
    for count in (1, 4):
        commands.finish([*line.split(), "--workers", str(count), "--out", tmp_path / str(count)])
        found.append(content(read_study(tmp_path / str(count))))
    assert found[0] == found[1]
    assert len(found[0]["trials"]) == 8


def test_a_real_trial_is_a_run_and_its_numbers_are_those_of_its_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    objectives = (
        "clean,fgsm,worst_case,parameters,multiply_accumulates,published_parameters,F,passes,certified/interval"
    )
    small = (
        "--data.limit 40 --search.epochs 1 --search.warmup_epochs 0 --search.constraint.images 8 --training.epochs 1 "
    )
    small += "--evaluation.attacks fgsm --evaluation.images 4 --search.attack.steps 1 --training.attack.steps 1"
    line = f"tune smoke --space network.channels=2,4 {small} --objectives {objectives} --trials 1 --out study"
    assert main(line.split()) == 0
    (trial,) = read_study(Path("study")).trials
    network = rnas.load(str(Path("study") / trial.run / "searched"))
    values = {name: one.value for name, one in trial.values.items()}
    assert values["parameters"] == sum(parameter.numel() for parameter in network.parameters())
    assert values["multiply_accumulates"] == count_multiply_accumulates(network, (1, 8, 8))
    search = json.loads((Path("study") / trial.run / "search" / "results.json").read_text())
    assert (values["published_parameters"], values["passes"]) == (search["parameters"], search["passes"])
    lines = (Path("study") / trial.run / "vulnerability" / "vulnerability.csv").read_text().splitlines()
    layers = [row for row in csv.DictReader(lines) if row["metric"] == "kl_per_position"]
    told = [float(row["vulnerability"]) for row in layers if int(row["height"]) * int(row["width"]) > 1]
    assert values["F"] == pytest.approx(sum(told) / len(told))
    assert values["certified/interval"] <= values["worst_case"] == values["fgsm"] <= values["clean"]
    assert Path("study", trial.run, "searched", "certificates.parquet").is_file()
    # The same settings, as the page says it; no network is made again.
    config = Path("study") / trial.run / "config.yaml"
    assert main(["run", "smoke", "--config", str(config), "--out", f"study/{trial.run}"]) == 0
    assert (Path("study") / trial.run / "report.html").is_file()
    assert not (Path("study") / trial.run / "resnet18").exists()
