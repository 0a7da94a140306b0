"""RobNet: the FSP loss, which subnets are fine-tuned, and what fine-tuning leaves alone."""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.search.small import begun, found, run
from torch import Tensor, nn

from rnas.errors import ConfigError
from rnas.genotype import Genotype
from rnas.run.directory import Run
from rnas.search.algorithm import SearchState
from rnas.search.robnet import RobNet, RobNetConfig, fsp_loss, fsp_matrix
from rnas.search.subnets import robust_accuracy
from rnas.spaces import nasbench201


class Doubling(nn.Module):
    """A cell that doubles its maps."""

    def forward(self, maps: Tensor) -> Tensor:
        return 2 * maps


class Adding(nn.Module):
    """A cell that adds its maps to older ones, and gets weights as well, as the cells of DARTS do."""

    def forward(self, older: Tensor, maps: Tensor, weights: Tensor) -> Tensor:
        return older + maps + weights.sum()


class Two(nn.Module):
    """Both of them, in this order."""

    def __init__(self) -> None:
        super().__init__()
        self.cells = nn.ModuleList([Doubling(), Adding()])

    def forward(self, images: Tensor) -> Tensor:
        first, second = self.cells
        return second(images, first(images), torch.zeros(3, 2)).mean(dim=(2, 3))


def test_the_loss_computed_by_hand() -> None:
    """Cell 1 maps x to 2 x: G = 2 x^2. Cell 2 maps its latest map 2 x, with x, to 3 x: G = 6 x^2."""
    network = Two()
    images = torch.tensor([1.0, 0.5]).view(2, 1, 1, 1)
    adversarial = torch.tensor([0.5, 0.5]).view(2, 1, 1, 1)
    first, second = (2 * 1 - 2 * 0.25) ** 2 / 2, (6 * 1 - 6 * 0.25) ** 2 / 2  # the second image is not changed
    assert float(fsp_loss(network, network.cells[:1], images, adversarial)) == pytest.approx(first)
    assert float(fsp_loss(network, network.cells[1:], images, adversarial)) == pytest.approx(second)
    both = fsp_loss(network, network.cells, images, adversarial)
    assert float(both) == pytest.approx((first + second) / 2)


def test_a_matrix_is_the_mean_over_positions_and_larger_maps_are_pooled() -> None:
    before = torch.tensor([[[1.0, 2.0], [3.0, 4.0]], [[0.0, 1.0], [0.0, 0.0]]]).unsqueeze(0)  # two channels
    after = torch.tensor([[[1.0, 0.0], [0.0, 2.0]]]).unsqueeze(0)  # one channel
    torch.testing.assert_close(fsp_matrix(before, after), torch.tensor([[[(1 + 8) / 4], [0.0]]]))
    # Their maxima are 4 and 1.
    torch.testing.assert_close(fsp_matrix(before, torch.full((1, 1, 1, 1), 3.0)), torch.tensor([[[12.0], [3.0]]]))


def test_the_most_robust_of_those_that_the_filter_keeps(tmp_path: Path) -> None:
    folder = run(tmp_path / "run", "robnet", {"samples": 5, "keep": 0.5, "epochs": 2}, epochs=4)
    sampled, tuned = found(folder, "fsp"), found(folder, "rewards")
    assert len({json.dumps(one["cells"]) for one in sampled}) == 5
    assert all(one["value"] > 0 for one in sampled)
    limit = sorted(one["value"] for one in sampled)[math.ceil(0.5 * 5) - 1]
    assert [one["cells"] for one in tuned] == [one["cells"] for one in sampled if one["value"] <= limit]
    best = max(tuned, key=lambda one: one["value"])
    answer = Genotype.load(folder / "genotype.json")
    assert answer.cells_document()["cells"] == best["cells"]
    # Of two batches each: attack, its step, and twice the maps; two epochs of fine-tuning, and the accuracy.
    assert {one["passes"] for one in sampled} == {2 * (1 + 2)}
    assert {one["passes"] for one in tuned} == {2 * 2 * (1 + 1) + 2 * (1 + 1)}
    results = json.loads((folder / "results.json").read_text())
    assert results["parameters"] <= results["size_limit"]


def test_without_a_filter_all_are_fine_tuned(tmp_path: Path) -> None:
    folder = run(tmp_path / "run", "robnet", {"samples": 3, "keep": 1.0}, epochs=1)
    assert len(found(folder, "rewards")) == 3
    assert not (folder / "fsp.json").exists()


def test_subnets_are_tuned_from_the_supernet_and_leave_it_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each starts from its weights, and trains the operations on its path alone."""
    tuned: list[tuple[dict[str, Tensor], bool]] = []
    supernets: list[dict[str, Tensor]] = []

    def remember(network: Any, *rest: Any) -> float:
        tuned.append((copy.deepcopy(network.supernet.state_dict()), network.training))
        return robust_accuracy(network, *rest)

    tune = RobNet.tuned_accuracy

    def before_and_after(self: RobNet, state: SearchState, *rest: Any) -> float:
        supernets.append(copy.deepcopy(state.supernet.state_dict()))
        value = tune(self, state, *rest)
        supernets.append(copy.deepcopy(state.supernet.state_dict()))
        return value

    monkeypatch.setattr("rnas.search.robnet.robust_accuracy", remember)
    monkeypatch.setattr(RobNet, "tuned_accuracy", before_and_after)
    folder = run(tmp_path / "run", "robnet", {"samples": 2, "keep": 1.0}, epochs=1, size_limit=None)
    trained = supernets[0]
    assert all(torch.equal(one[name], trained[name]) for one in supernets for name in trained)
    for (weights, training), one in zip(tuned, found(folder, "rewards"), strict=True):
        assert not training
        operations = nasbench201.operations_of(Genotype.from_json(json.dumps({"cells": one["cells"]})))
        convolutions = [name for name in weights if name.startswith("cells") and name.endswith("weight")]
        for name in convolutions:
            edge, operation = (int(name.split(".")[index]) for index in (3, 5))
            on_path = operations[edge] == nasbench201.OPERATIONS[operation]
            assert torch.equal(weights[name], trained[name]) is not on_path, name


def test_samples_are_distinct_and_may_run_out() -> None:
    """The tightest limit leaves a few cells without convolutions."""
    algorithm, _ = begun("robnet", {"samples": 60}, size_limit=73_306)
    drawn = algorithm.sampled(3)
    assert len(drawn) == len(set(drawn)) == 60
    assert algorithm.sampled(3) == drawn != algorithm.sampled(4)


def dying(work: Callable[..., Any], at: int) -> Callable[..., Any]:
    calls = iter(range(10_000))

    def once(*arguments: Any, **settings: Any) -> Any:
        if next(calls) == at:
            raise KeyboardInterrupt
        return work(*arguments, **settings)

    return once


@pytest.mark.parametrize(("phase", "at"), [("inherited_flow", 3), ("tuned_accuracy", 1)])
def test_a_killed_search_goes_on(phase: str, at: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = {"samples": 4, "keep": 0.75, "epochs": 2}
    whole = run(tmp_path / "whole", "robnet", own, epochs=4)
    monkeypatch.setattr(RobNet, phase, dying(getattr(RobNet, phase), at))
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "killed", "robnet", own, epochs=4)
    saves: list[object] = []
    monkeypatch.setattr(Run, "save_checkpoint", lambda *_: saves.append(None))
    killed = run(tmp_path / "killed", "robnet", own, epochs=4)
    assert not saves  # the supernet is not trained again
    for name in ("genotype.json", "results.json", "fsp.json", "rewards.json", "metrics.jsonl"):
        assert (killed / name).read_bytes() == (whole / name).read_bytes(), name


def test_ranges() -> None:
    for settings, says in (
        ({"samples": 0}, "samples: expected an integer >= 1, got 0"),
        ({"keep": 0.0}, r"keep: expected a number in \(0, 1\], got 0.0"),
        ({"epochs": 0}, "epochs: expected an integer >= 1, got 0"),
    ):
        with pytest.raises(ConfigError, match=says):
            RobNetConfig(**settings)
