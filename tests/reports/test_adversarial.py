"""Adversarial images as a figure: each under its true class, with what the model says of it before and after."""

from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from rnas.reports.figures.adversarial import adversarial_figure


def test_classes_are_named_where_they_have_names(tmp_path: Path) -> None:
    clean = np.full((4, 3, 8, 8), 0.5, dtype=np.float32)
    changed = clean.copy()
    changed[:2, :, 0] += np.float32(2 / 255)
    label = np.array([0, 1, 0, 1])
    after = np.array([1, 7, 0, 1])
    path = tmp_path / "square.safetensors"
    predictions = {"label": label, "clean_prediction": label, "prediction": after}
    save_file({**predictions, "clean": clean, "adversarial": changed}, path)
    figure, words = adversarial_figure(path, ["cat", "pick-up_truck"])
    assert [axes.get_title() for axes in figure.axes[:4]] == ["cat", "pick-up.", "cat", "pick-up."]
    assert [axes.get_xlabel() for axes in figure.axes[:4]] == ["cat", "pick-up.", "cat", "pick-up."]
    # A model may know more classes than the images have.
    assert [axes.get_xlabel() for axes in figure.axes[8:]] == ["pick-up.", "7", "cat", "pick-up."]
    assert "the change, 64 times amplified: grey is none, the largest is 2/255" in words
    assert "the attack failed on 2 images and returned the image itself" in words
    figure, _ = adversarial_figure(path)
    assert [axes.get_xlabel() for axes in figure.axes[8:]] == ["1", "7", "0", "1"]
    save_file({**predictions, "prediction": label, "clean": clean, "adversarial": clean}, path)
    _, words = adversarial_figure(path)
    assert "amplified" not in words
    assert "the attack failed on 4 images" in words


def test_the_true_class_stands_above_and_a_wrong_prediction_of_the_clean_image_below(tmp_path: Path) -> None:
    clean = np.full((2, 1, 8, 8), 0.5, dtype=np.float32)
    path = tmp_path / "corruption.safetensors"
    label, before, after = np.array([3, 4]), np.array([3, 9]), np.array([7, 4])
    save_file(
        {"label": label, "clean_prediction": before, "prediction": after, "clean": clean, "adversarial": clean}, path
    )
    figure, words = adversarial_figure(path)
    assert [axes.get_title() for axes in figure.axes[:2]] == ["3", "4"]
    assert [axes.get_xlabel() for axes in figure.axes] == ["3", "9", "", "", "7", "4"]
    weights = [axes.xaxis.label.get_fontweight() for axes in figure.axes]
    assert [weights[0], weights[1], weights[4], weights[5]] == ["normal", "bold", "bold", "normal"]
    assert "true class" in words
    assert "true class" in {text.get_text() for text in figure.axes[0].texts}
