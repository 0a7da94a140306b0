"""Wrong options of a training cost one line and exit code 2."""

from pathlib import Path

import pytest
from tests.refusals import Refused

from rnas.cli import main
from rnas.commands import run

TRAIN = "train --data.limit 40 --network.name resnet18 --network.channels 2 --training.batch_size 8 --threads 1"
CASES = {
    "trades.beta -1": ("training.trades.beta", ">= 0", "-1"),
    "mart.beta -1": ("training.mart.beta", ">= 0", "-1"),
    "fast_at.step 0": ("training.fast_at.step", "(0, 2]", "0"),
    "fast_at.collapse 1": ("training.fast_at.collapse", "[0, 1)", "1"),
    "fast_at.mode train": ("training.fast_at.mode", "evaluation or training", "'train'"),
    "fast_at.mode training --training.objective fast_at --training.cells.auxiliary_weight 1": (
        "training: fast_at.mode: expected evaluation where cells.auxiliary_weight is above 0, got 'training'",
    ),
    "trades.bta 1": ("did you mean --training.trades.beta?",),
    "objective trade": ("training.objective", "did you mean 'trades'?", "fast_at"),
    "schedule.name onecycle": ("training.schedule.name", "did you mean 'one_cycle'?", "piecewise"),
    "schedule.warmup 1": ("training.schedule.warmup", "(0, 1)", "1"),
    "schedule.milestones [0.5,0.4]": ("training.schedule.milestones", "increasing", "[0.5, 0.4]"),
    "schedule.milestones [0.5,1.5]": ("training.schedule.milestones", "(0, 1)", "[0.5, 1.5]"),
    "schedule.divisor 1": ("training.schedule.divisor", "> 1"),
    "label_smoothing 1": ("training.label_smoothing", "[0, 1)", "1"),
    "average_decay 1": ("training.average_decay", "[0, 1)", "null", "1"),
    "cutout -1": ("training.cutout", ">= 0", "-1"),
    "cutout 9": ("training.cutout: expected 0 to 8, the side of the images of digits, got 9",),
    "precision float16": ("training.precision", "float32 or bfloat16", "'float16'"),
    "validation.images -1": ("training.validation.images", ">= 0", "-1"),
    "validation.patience 0": ("training.validation.patience", ">= 1", "0"),
    "validation.patience 3": ("training.validation.patience", "null where images is 0", "3"),
    "validation.images 39": ("at least 2 images beside the 39 of training.validation.images", "there are 40"),
    "cells.drop_path 1": ("training.cells.drop_path", "[0, 1)", "1"),
    "cells.auxiliary_weight -1": ("training.cells.auxiliary_weight", ">= 0", "-1"),
    "cells.drop_path 0.2": ("training.cells", "ResNet is not made of cells", "0.2"),
}


@pytest.mark.parametrize("option", CASES)
def test_one_line(option: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refused: Refused) -> None:
    monkeypatch.chdir(tmp_path)
    refused(f"{TRAIN} --out new --training.{option}", *CASES[option])


@pytest.mark.parametrize(
    ("option", "says"),
    [
        ("--training.cutout 9", "training.cutout: expected 0 to 8, the side of the images of digits, got 9"),
        (
            "--search.space nasbench201 --training.cells.drop_path 0.2",
            "training.cells: expected auxiliary_weight and drop_path of 0 where search.space is nasbench201, "
            "got 0.0 and 0.2",
        ),
    ],
)
def test_a_recipe_is_refused_before_its_search(
    option: str, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refused: Refused
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delattr(run, "run_search")
    assert refused(f"run quickstart --threads 1 --out new {option}") == f"rnas: error: {says}"


@pytest.mark.parametrize(
    ("command", "setting", "images"),
    [
        (f"{TRAIN} --training.epochs 1 --training.objective standard", "training", 40),
        ("search --data.limit 41 --search.algorithm random --threads 1", "search", 20),
    ],
)
def test_a_batch_of_more_images_than_there_are(
    command: str, setting: str, images: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each epoch is one step on all images, and that is said."""
    batch = f"--{setting}.batch_size"
    assert main([*command.split(), batch, str(images + 1), "--out", str(tmp_path / "larger")]) == 0
    warning = (
        f"rnas: warning: {setting}.batch_size is {images + 1}, there are {images} images to train on: "
        "each step takes all of them\n"
    )
    assert warning in capsys.readouterr().err
    assert main([*command.split(), batch, str(images), "--out", str(tmp_path / "equal")]) == 0
    assert "warning" not in capsys.readouterr().err
    if setting == "training":
        steps = [(tmp_path / name / "metrics.jsonl").read_bytes() for name in ("larger", "equal")]
        assert steps[0].count(b'"kind": "step"') == 1
        assert steps[0] == steps[1]
