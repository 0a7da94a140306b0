"""A sample of the campaign in benchmarks/soundness.py: architectures of every kind, fewer points."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(scope="module")
def campaign() -> Any:
    path = Path(__file__).parents[2] / "benchmarks" / "soundness.py"
    spec = importlib.util.spec_from_file_location("soundness", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_no_point_beats_a_bound(campaign: Any) -> None:
    chosen = {case.name: case for case in campaign.cases()}
    for name in ("ibp_small", "racl", "darts 0", "nasbench201 1", *(f"layers {number}" for number in range(4))):
        row = campaign.soundness(chosen[name], 1500)
        methods = ("interval", "crown_ibp", *(["crown"] if row["kind"] == "layers" else []))
        assert row["triples"] >= 1500
        assert [row[f"beaten_{method}"] for method in methods] == [0] * len(methods), name
        # Where every point is far above its bound, nothing is tested.
        assert row["nearest_crown_ibp"] < 2 * row["slack_crown_ibp"], name


@pytest.mark.parametrize("part", [0.0, 0.5])
def test_a_bound_of_a_smaller_ball_is_beaten(campaign: Any, monkeypatch: pytest.MonkeyPatch, part: float) -> None:
    case = next(case for case in campaign.cases() if case.name == "layers 2")
    crown = campaign.crown_margins
    smaller = lambda program, images, labels, eps: crown(program, images, labels, part * eps)  # noqa: E731
    monkeypatch.setitem(campaign.METHODS, "crown", smaller)
    row = campaign.soundness(case, 3000)
    assert row["beaten_crown"] > 0
    assert row["beaten_interval"] == 0
