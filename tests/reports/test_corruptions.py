"""Corruptions as figures: every number and every prediction stands where it belongs."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from rnas.errors import RunError
from rnas.reports.figures.corruptions import corrupted_figure, corruptions_figure
from rnas.run.attack_results import AttackResult
from rnas.run.results import ModelResults

PARTS = {
    f"{name}/{severity}": severity / 10 + rank / 100
    for rank, name in enumerate(("fog", "shot_noise"))
    for severity in range(1, 6)
}


def model(name: str, parts: dict[str, float]) -> ModelResults:
    return ModelResults(name, (AttackResult("corruptions", "Common corruptions", 100, 0.3, 0.2, 0.4, parts=parts),))


def test_every_accuracy_is_in_its_cell() -> None:
    figure = corruptions_figure(
        [model("first", PARTS), ModelResults("without", ()), model("second", {**PARTS, "fog/5": 1.0})]
    )
    assert figure is not None
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["first", "second"]
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["fog", "shot noise"]
    for axes, last in zip(figure.axes, (50.0, 100.0), strict=True):
        written = {tuple(map(int, text.get_position())): float(text.get_text()) for text in axes.texts}
        expected = {(s - 1, rank): 10.0 * s + rank for rank in range(2) for s in range(1, 6)} | {(4, 0): last}
        assert written == pytest.approx(expected)
    assert corruptions_figure([ModelResults("without", ())]) is None


def test_an_image_under_each_corruption(tmp_path: Path) -> None:
    assert corrupted_figure(tmp_path) is None
    clean = np.random.default_rng(0).random((2, 3, 8, 8), dtype=np.float32)
    predictions = {"fog/1": 4, "fog/2": 7, "shot_noise/2": 4}
    for part, prediction in predictions.items():
        path = tmp_path / "adversarial" / "corruptions" / f"{part}.safetensors"
        path.parent.mkdir(parents=True, exist_ok=True)
        label, after = np.array([4, 1]), np.array([prediction, 1])
        tensors: dict[str, Any] = {"label": label, "clean_prediction": label, "prediction": after}
        save_file({**tensors, "clean": clean, "adversarial": clean * np.float32(0.5)}, path)
    drawn = corrupted_figure(tmp_path)
    assert drawn is not None
    figure, words = drawn
    assert "severity 1 (above) to 2 (below)" in words
    grid = np.array(figure.axes).reshape(2, 3)
    assert [axes.get_title() for axes in grid[0]] == ["clean", "fog", "shot\nnoise"]
    assert [[axes.get_xlabel() for axes in row] for row in grid] == [["4", "4", ""], ["", "7", "4"]]
    named = corrupted_figure(tmp_path, ["", "", "", "", "cat"])
    assert named is not None
    assert [axes.get_xlabel() for axes in named[0].axes[:2]] == ["cat", "cat"]
    assert grid[1, 1].xaxis.label.get_fontweight() == "bold"
    assert grid[0, 1].xaxis.label.get_fontweight() == "normal"
    np.testing.assert_allclose(grid[1, 1].images[0].get_array(), clean[0].transpose(1, 2, 0) / 2)
    np.testing.assert_allclose(grid[0, 0].images[0].get_array(), clean[0].transpose(1, 2, 0))


@pytest.mark.parametrize("parts", [{"fog/1": 1.5}, {"fog/1": "high"}, {"fog/1": None}])
def test_parts_that_are_no_shares_are_refused(parts: dict[str, Any]) -> None:
    row = {"name": "corruptions", "images": 5, "accuracy": 0.5, "low": 0.4, "high": 0.6, "parts": parts}
    with pytest.raises(RunError, match="'parts' should be numbers in"):
        ModelResults.from_json({"attacks": [row]}, "results.json", name="x")
