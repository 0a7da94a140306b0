"""What a recipe's stages are given; settings of those that have not begun can be changed, those of others cannot."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from rnas.commands import RecipeCommand, SearchCommand, TrainCommand, run
from rnas.commands.run import change_later_stages, run_stages
from rnas.config import plain
from rnas.errors import RunError
from rnas.evaluation.config import EvaluationSettings
from rnas.networks import NETWORKS
from rnas.networks.config import NetworkConfig
from rnas.run.opening import open_run
from rnas.search.config import SearchConfig
from rnas.training.config import CellTrainingConfig, TrainingConfig

RECIPE = RecipeCommand(out="run")
CHANGES: dict[str, Any] = {
    "search.epochs": {"search": SearchConfig(epochs=61)},
    "network.cells": {"network": NetworkConfig(cells=5)},
    "baseline.name": {"baseline": NetworkConfig(name="vgg16")},
    "training.epochs": {"training": TrainingConfig(epochs=7)},
    "evaluation.cw_steps": {"evaluation": EvaluationSettings(cw_steps=9)},
}


def open_recipe(path: Path, command: RecipeCommand) -> None:
    with open_run(path, "run", plain(command), seed=0, device="cpu", judge=change_later_stages):
        pass


def begin(folder: Path) -> None:
    """A stage that has made a step."""
    with open_run(folder, "train", {}, seed=0, device="cpu") as run:
        run.log("step", step=0, epoch=0, loss=1.0)


@pytest.mark.parametrize(
    ("stages", "free"),
    [
        ([], set(CHANGES)),
        (["search"], set(CHANGES) - {"search.epochs"}),
        (["search", "searched"], {"baseline.name", "evaluation.cw_steps"}),
        (["search", "searched", "resnet18"], {"evaluation.cw_steps"}),
        (["search", "searched", "resnet18", "attacks"], set()),
    ],
)
def test_what_can_be_changed(stages: list[str], free: set[str], tmp_path: Path) -> None:
    path = tmp_path / "run"
    for key, change in CHANGES.items():
        open_recipe(path, RECIPE)
        for stage in stages:
            if stage == "attacks":
                (path / "searched" / "outcomes.parquet").touch()
            elif not (path / stage).exists():
                begin(path / stage)
        changed = replace(RECIPE, **change)
        if key in free:
            open_recipe(path, changed)
            manifest = json.loads((path / "manifest.json").read_text())
            assert manifest["config"] == plain(changed) == yaml.safe_load((path / "config.yaml").read_text())
            if stages:
                assert key in manifest["changes"][-1]["before"]
        else:
            with pytest.raises(RunError, match=f"was made with {key} = "):
                open_recipe(path, changed)
            assert json.loads((path / "manifest.json").read_text())["config"] == plain(RECIPE)
        if key in free and stages:
            open_recipe(path, RECIPE)  # and back


def test_the_baseline_is_trained_without_what_is_for_cells(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trained = []

    def search(command: SearchCommand) -> Path:
        folder = Path(command.out)
        folder.mkdir()
        genotype = NETWORKS["darts_v2"].genotype
        assert genotype is not None
        (folder / "genotype.json").write_text(genotype.to_json())
        return folder

    def train(command: TrainCommand) -> Path:
        trained.append(command)
        return Path(command.out)

    monkeypatch.setattr(run, "run_search", search)
    monkeypatch.setattr(run, "run_training", train)
    monkeypatch.setattr(run, "run_evaluation", lambda *_: [])
    monkeypatch.setattr(run, "run_vulnerability", lambda command: Path(command.out))
    cells = CellTrainingConfig(auxiliary_weight=0.4, drop_path=0.1)
    run_stages(replace(RECIPE, training=TrainingConfig(cells=cells)), tmp_path)
    assert [Path(command.out).name for command in trained] == ["searched", "resnet18"]
    assert [command.training.cells for command in trained] == [cells, CellTrainingConfig()]
