"""F of trained networks on the page: the numbers of the table, and who has the higher one in words."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rnas.reports import LayerRow, layers_csv, report
from rnas.reports.trained import compare, measurement
from rnas.run.contents import read_folder

BY_IT, ONE = "by this measure the searched network is the", "vulnerable one."


@pytest.mark.parametrize(
    ("values", "searched", "said"),
    [
        (
            [0.4, 0.1],
            {"a"},
            f"kl: a has the higher F, 0.4 against 0.1 of b, 4 times as high: {BY_IT} more {ONE}",
        ),
        ([0.1, 0.2], {"a"}, f"kl: b has the higher F, 0.2 against 0.1 of a, 2 times as high: {BY_IT} less {ONE}"),
        ([0.1, 0.2, 0.4], set(), "kl: c has the highest F, 0.4 against 0.1 of a, 4 times as high."),
        ([0.0, 0.2], set(), "kl: b has the higher F, 0.2 against 0 of a."),
        ([0.1, 0.1], {"a"}, "kl: all have the same F, 0.1."),
        ([0.1, None], {"a"}, None),
    ],
)
def test_who_has_the_higher_f_in_words(values: list[float | None], searched: set[str], said: str | None) -> None:
    assert compare("kl", "abc"[: len(values)], values, searched) == said


def write_measurement(folder: Path) -> Path:
    folder.mkdir(parents=True)
    attack = {"eps": "8/255", "step_size": "2/255", "steps": 20}
    manifest = {
        "kind": "vulnerability",
        "config": {"attack": attack, "images": 256},
        "created": "2026-01-02T03:04:05+00:00",
        "finished": "2026-01-02T03:04:15+00:00",
    }
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    rows = [
        LayerRow(model, f"{layer}.{index}", 4, side, side, metric, scale * value)
        for metric, scale in (("gaussian_kl", 1.0), ("relative_deviation", 10.0))
        for model, layer, found in (
            ("searched", "cells", [(4, 0.1), (2, 0.3)]),
            ("resnet18", "stages", [(4, 0.05), (2, 0.05), (1, 9.0)]),
        )
        for index, (side, value) in enumerate(found)
    ]
    (folder / "vulnerability.csv").write_text(layers_csv(rows, {"images": 256}, manifest), encoding="utf-8")
    return folder


def test_f_is_the_mean_over_the_layers_that_a_metric_says_something_of(tmp_path: Path) -> None:
    (part,) = read_folder(write_measurement(tmp_path / "vulnerability")).measurements
    measured = measurement(part, {"searched"})
    assert measured.models == ("searched", "resnet18")
    assert measured.table["gaussian_kl"] == pytest.approx((0.2, 0.05))  # maps of one position have no distribution
    assert measured.table["relative_deviation"] == pytest.approx((2.0, (0.5 + 0.5 + 90) / 3))
    for said in ("eps 8/255", "steps 20", "256 test images", "searched 2, resnet18 3"):
        assert said in measured.settings


@pytest.mark.usefixtures("undrawn")
def test_the_page_of_a_run_has_f_beside_the_accuracies(run_folder: Path) -> None:
    for path in run_folder.glob("*/metrics.jsonl"):
        path.unlink()
    write_measurement(run_folder / "vulnerability")
    text = report(run_folder).read_text(encoding="utf-8")
    section = text.partition('<section id="trained">')[2].partition("</section>")[0]
    assert text.index('id="accuracy"') < text.index('id="trained"') < text.index('id="sanity"')
    assert '<tr><th scope="row">gaussian_kl</th><td>0.2</td><td>0.05</td></tr>' in section
    assert "searched has the higher F, 0.2 against 0.05 of resnet18" in section
    assert "the searched network is the more vulnerable one" in section
    assert "the searched network is the less vulnerable one" in section  # by the other measure
    # The stage has a time of its own, like those of the trainings.
    assert (
        "<td>vulnerability</td><td>vulnerability of trained networks</td><td>finished</td><td>0 min 10 s</td>" in text
    )
    assert "<td>training 4 min 30 s, attacks 0 min 6 s</td>" in text
