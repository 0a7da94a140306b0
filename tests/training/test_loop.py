"""Training as a whole: what is kept, what training may see, when it stops, and in which format it computes."""

from __future__ import annotations

import contextlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

import rnas
from rnas.cli import main
from rnas.config import Distance, PgdConfig
from rnas.data import Batches, ImageDataset
from rnas.errors import CollapseError, ConfigError, DataError, DivergenceError
from rnas.networks import zoo
from rnas.objectives import OBJECTIVES, Objective
from rnas.reports import report
from rnas.run.directory import Run
from rnas.run.opening import open_run
from rnas.training import train
from rnas.training.collapse import CollapseCheck
from rnas.training.config import CellTrainingConfig, TrainingConfig, ValidationConfig
from rnas.training.step import Autocast, TrainingStep
from rnas.training.validation import Validation

ATTACK = PgdConfig(eps=Distance(0.05), step_size=Distance(0.05), steps=1)
CONFIG = TrainingConfig(attack=ATTACK, epochs=3, batch_size=20, learning_rate=0.1)
VALIDATED = replace(CONFIG, validation=ValidationConfig(images=30))


@pytest.fixture(scope="module")
def data() -> ImageDataset:
    return rnas.data.load("digits", limit=110)


def run_training(data: ImageDataset, config: TrainingConfig, path: Path, **options: Any) -> dict[str, torch.Tensor]:
    """Train a small ResNet18; returns the weights that were written."""
    torch.manual_seed(0)
    network = zoo.build("resnet18", 10, in_channels=1, channels=2)
    with open_run(path, "train", {}, seed=0, device="cpu") as run:
        train(network, data, config, run, **options)
    written = load_file(path / "weights.safetensors")
    assert all(torch.equal(written[name], value) for name, value in network.state_dict().items())
    return written


def records(path: Path, kind: str) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in (path / "metrics.jsonl").read_text().splitlines()]
    return [line for line in lines if line["kind"] == kind]


def test_held_out_images_are_not_trained_on(
    data: ImageDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[torch.Tensor] = []
    at = Batches.at

    def watch(batches: Batches, step: int) -> tuple[torch.Tensor, torch.Tensor]:
        seen.append(batches.data.images)
        return at(batches, step)

    monkeypatch.setattr(Batches, "at", watch)
    run_training(data, VALIDATED, tmp_path / "run")
    split = json.loads((tmp_path / "run" / "splits.json").read_text())
    assert sorted(split["train"] + split["validation"]) == list(range(110))
    assert len(split["validation"]) == 30
    assert data.train.labels[split["validation"]].unique().tolist() == list(range(10))
    assert all(torch.equal(images, data.train.images[split["train"]]) for images in seen)


def test_the_epoch_most_accurate_under_attack_is_kept(data: ImageDataset, tmp_path: Path) -> None:
    # At this rate accuracies go up and down.
    config = replace(VALIDATED, epochs=5, learning_rate=1.0)
    written = run_training(data, config, tmp_path / "run")
    robust = [record["validation_robust"] for record in records(tmp_path / "run", "epoch")]
    best = robust.index(max(robust))
    assert best < 4, "the last epoch is the best: this test shows nothing"
    state = torch.load(tmp_path / "run" / "checkpoint.pt", weights_only=True)
    assert not torch.equal(state["network"]["classifier.weight"], written["classifier.weight"])
    held_out = data.train.select(json.loads((tmp_path / "run" / "splits.json").read_text())["validation"])
    network = zoo.build("resnet18", 10, in_channels=1, channels=2)
    network.load_state_dict(written)
    again = Validation(held_out, ATTACK, batch_size=20, patience=None, seed=rnas.seeding.derive(0, "validation attack"))
    assert again.update(network)["validation_robust"] == robust[best]


def test_patience() -> None:
    """Accuracies 3/4, 2/4, 3/4: an equal one is no better."""
    labels = torch.tensor([0, 1, 0, 1])
    images = rnas.data.LabelledImages(torch.full((4, 1, 2, 2), 128, dtype=torch.uint8), labels)
    validation = Validation(images, ATTACK, batch_size=3, patience=2, seed=0)

    class Answers(torch.nn.Module):
        def __init__(self, right: int) -> None:
            super().__init__()
            self.right = torch.nn.Parameter(torch.tensor(float(right)))
            self.place = 0

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return images.sum(dim=(1, 2, 3)).unsqueeze(1) * torch.zeros(2) + self.wanted(len(images))

        def wanted(self, count: int) -> torch.Tensor:
            answers = torch.where(torch.arange(4) < self.right, labels, 1 - labels)
            # Batches of 3 and 1 come in turn.
            return torch.eye(2)[answers[:3] if count == 3 else answers[3:]]

    expected = [(3, 0.75, False), (2, 0.75, False), (3, 0.75, True)]
    for right, best, exhausted in expected:
        measured = validation.update(Answers(right))
        assert measured["validation_robust"] == pytest.approx(right / 4)
        assert validation.best == pytest.approx(best)
        assert validation.exhausted is exhausted
    assert float(validation.weights["right"]) == 3
    again = Validation(images, ATTACK, batch_size=3, patience=2, seed=0)
    again.restore(validation.state())
    assert again.epochs_since == 2
    again.update(Answers(4))
    assert not again.exhausted
    assert float(again.weights["right"]) == 4


def test_training_stops_when_patience_is_at_an_end(data: ImageDataset, tmp_path: Path) -> None:
    # A rate so small that nothing changes: no epoch is better than the first.
    config = replace(
        CONFIG, epochs=9, learning_rate=1e-12, average_decay=0.0, validation=ValidationConfig(images=30, patience=2)
    )
    run_training(data, config, tmp_path / "run")
    assert len(records(tmp_path / "run", "epoch")) <= 5


def test_an_early_stop_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """In the terminal, also of a finished run; in the manifest; and on the page, which is not that of half a run."""
    path = tmp_path / "stopped"
    command = (
        "train --data.limit 110 --threads 1 --network.name resnet18 --network.channels 2 --training.epochs 9 "
        "--training.batch_size 20 --training.learning_rate 1e-12 --training.average_decay 0 "
        f"--training.attack.steps 1 --training.validation.images 30 --training.validation.patience 2 --out {path}"
    )
    assert main(command.split()) == 0
    robust = [record["validation_robust"] for record in records(path, "epoch")]
    kept, epochs = robust.index(max(robust)) + 1, len(robust)
    assert epochs == kept + 2 < 9
    words = (
        f"stopped early after epoch {epochs} of 9: robust accuracy of the validation images did not rise for 2 epochs; "
        f"kept: epoch {kept}"
    )
    assert capsys.readouterr().err.splitlines()[-1] == f"rnas: stopped: {words}"
    assert main(["train", "--resume", str(path)]) == 0
    assert capsys.readouterr() == (
        f"trained: {path}/weights.safetensors\nnext: rnas evaluate {path}\n",
        f"rnas: stopped: {words}\n",
    )
    manifest = json.loads((path / "manifest.json").read_text())
    assert manifest["early_stop"] == {"epoch": epochs, "epochs": 9, "patience": 2, "kept": kept}
    page = report(path).read_text()
    assert words in page
    assert "Not evaluated yet: stopped." in page
    assert "Unfinished" not in page


def test_a_training_to_its_last_epoch_did_not_stop_early(data: ImageDataset, tmp_path: Path) -> None:
    config = replace(CONFIG, epochs=1, validation=ValidationConfig(images=30, patience=1))
    with open_run(tmp_path / "run", "train", {}, seed=0, device="cpu") as run:
        train(zoo.build("resnet18", 10, in_channels=1, channels=2), data, config, run)
    assert "early_stop" not in run.manifest


def test_an_average_of_the_present_weights_only_changes_nothing(data: ImageDataset, tmp_path: Path) -> None:
    plain = run_training(data, VALIDATED, tmp_path / "plain")
    present = run_training(data, replace(VALIDATED, average_decay=0.0), tmp_path / "present")
    averaged = run_training(data, replace(VALIDATED, average_decay=0.9), tmp_path / "averaged")
    assert all(torch.equal(plain[name], present[name]) for name in plain)
    assert not torch.equal(plain["classifier.weight"], averaged["classifier.weight"])
    steps = [[line["loss"] for line in records(tmp_path / name, "step")] for name in ("plain", "averaged")]
    assert steps[0] == steps[1], "the average took part in training"


def test_bfloat16_inside_and_float32_outside(data: ImageDataset) -> None:
    torch.manual_seed(0)
    network = zoo.build("resnet18", 10, in_channels=1, channels=2)
    inside: list[torch.dtype] = []
    network.get_submodule("stages.0").register_forward_hook(
        lambda _module, _inputs, output: inside.append(output.dtype)
    )
    images, labels = data.train.floats()[:20], data.train.labels[:20]
    narrow = Autocast(network.eval(), torch.bfloat16)(images)
    assert inside == [torch.bfloat16]
    assert narrow.dtype == torch.float32
    torch.testing.assert_close(narrow, network(images), rtol=0.05, atol=0.05)
    losses = []
    for precision in ("float32", "bfloat16"):
        config = replace(CONFIG, precision=precision)
        step = TrainingStep(network, OBJECTIVES["pgd_at"](config), config)
        loss, logits = step.loss(images, labels, torch.Generator().manual_seed(0), None)
        assert loss.dtype == logits.dtype == torch.float32
        network.zero_grad()
        loss.backward()
        for parameter in network.parameters():
            assert parameter.grad is not None
            assert parameter.grad.dtype == torch.float32
        losses.append(float(loss.detach()))
    assert losses[0] == pytest.approx(losses[1], rel=0.05)
    assert losses[0] != losses[1]


def test_a_collapse_names_the_last_good_checkpoint(
    data: ImageDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The state after the collapse is not saved, whether an epoch has ended or not."""
    measure = CollapseCheck.measure
    calls = 0

    def collapse_at_third(check: CollapseCheck, network: torch.nn.Module) -> dict[str, float]:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise CollapseError("catastrophic overfitting")
        return measure(check, network)

    monkeypatch.setattr(CollapseCheck, "measure", collapse_at_third)
    path = tmp_path / "run"
    with pytest.raises(DivergenceError) as error:
        run_training(data, replace(CONFIG, objective="fast_at"), path, checkpoint_every=2)
    # Five steps an epoch: states were worth keeping after steps 2 and 4, not after 5.
    assert str(error.value) == (
        f"step 4: catastrophic overfitting; the last good state is {path}/checkpoint.pt; going on from there would end "
        "here again: choose a smaller fast_at.step, a lower learning_rate or the objective pgd_at, and another --out"
    )
    assert torch.load(path / "checkpoint.pt", weights_only=True)["step"] == 4


def test_weights_that_are_not_finite_are_not_saved(
    data: ImageDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "run"
    log = Run.log

    def spoil(run: Run, kind: str, *, step: int, epoch: int, **values: Any) -> None:
        if step == 3:
            network.classifier.weight.data[0, 0] = torch.nan
        log(run, kind, step=step, epoch=epoch, **values)

    monkeypatch.setattr(Run, "log", spoil)
    network: Any = zoo.build("resnet18", 10, in_channels=1, channels=2)
    with (
        pytest.raises(DivergenceError, match=r"step 3: classifier.weight is no longer finite; the last good state is"),
        open_run(path, "train", {}, seed=0, device="cpu") as run,
    ):
        train(network, data, CONFIG, run, checkpoint_every=2)
    assert torch.load(path / "checkpoint.pt", weights_only=True)["step"] == 2


def test_an_objective_is_told_how_far_the_training_is(
    data: ImageDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In parts of all steps, also by a training that goes on where another was killed: eps rises by them."""
    seen: list[float] = []
    loss = OBJECTIVES["ibp"].__call__

    def watched(objective: Objective, *given: Any) -> Any:
        seen.append(objective.progress)
        if len(seen) == 4:
            raise KeyboardInterrupt
        return loss(objective, *given)

    monkeypatch.setattr(OBJECTIVES["ibp"], "__call__", watched)
    config = replace(CONFIG, objective="ibp", epochs=2)
    for _ in range(2):
        with contextlib.suppress(KeyboardInterrupt):
            run_training(data, config, tmp_path / "run", checkpoint_every=1)
    steps = 2 * (len(data.train) // 20)
    assert seen == pytest.approx([step / steps for step in (0, 1, 2, 3, *range(3, steps))])


@pytest.mark.parametrize("change", [{"precision": "bfloat16"}, {"cells": CellTrainingConfig(drop_path=0.1)}])
@pytest.mark.parametrize("objective", ["ibp", "crown_ibp"])
def test_bounds_are_trained_in_full_precision_and_without_drop_path(objective: str, change: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=rf"expected .* where the objective is {objective}, got"):
        replace(CONFIG, objective=objective, **change)


def test_cells_are_asked_of_networks_of_cells_only(data: ImageDataset, tmp_path: Path) -> None:
    config = replace(CONFIG, cells=CellTrainingConfig(drop_path=0.2))
    with pytest.raises(ConfigError, match=r"^training.cells: expected .* of 0, as ResNet is not made of cells as"):
        run_training(data, config, tmp_path / "run")


def test_validation_leaves_images_to_train_on(data: ImageDataset, tmp_path: Path) -> None:
    config = replace(CONFIG, validation=ValidationConfig(images=109))
    with pytest.raises(DataError, match=r"at least 2 images beside the 109 of training.validation.images, there are"):
        run_training(data, config, tmp_path / "run")
