"""A supernet is trained on one random subnet a batch, and asked for the accuracy of any."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import pytest
import torch
from tests.search.small import IMAGES, begun, run

from rnas import data
from rnas.config import Distance, PgdConfig
from rnas.errors import ConfigError
from rnas.search.algorithm import Batch
from rnas.spaces import nasbench201
from rnas.supernets.space import SPACES

OWN = {"candidates": 1, "population": 1, "reward": "supernet"}


def batch(count: int) -> Batch:
    chosen = data.load("digits", limit=IMAGES).train.select(range(count))
    return Batch(chosen.floats(), chosen.labels, torch.Generator().manual_seed(1))


def test_a_step_trains_the_drawn_operations_only() -> None:
    algorithm, state = begun("evolution", OWN)
    trainer = algorithm.trainer
    path = trainer.random_path(torch.Generator().manual_seed(1))  # what the batch's generator draws first
    assert path.sum(dim=-1).eq(1).all()
    before = copy.deepcopy(state.supernet.state_dict())
    trainer.theta_step(state, batch(8))
    learning = 0
    for name, value in state.supernet.named_parameters():
        if "edges" in name:
            edge, operation = (int(name.split(".")[index]) for index in (3, 5))
            drawn = bool(path[0, edge, operation])
            learning += drawn
            assert torch.equal(value, before[name]) is not drawn, name
    assert learning


def test_subnets_keep_the_limit() -> None:
    algorithm, state = begun("evolution", OWN, size_limit=73_306)  # that of cells without convolutions
    generator = torch.Generator().manual_seed(0)
    convolutions = [nasbench201.OPERATIONS.index(name) for name in nasbench201.KERNELS]
    paths = torch.stack([algorithm.trainer.random_path(generator) for _ in range(20)])
    assert not paths[..., convolutions].any()
    assert len({tuple(path.flatten().tolist()) for path in paths}) > 1
    assert state.space.at_most(73_306) == algorithm.trainer.at_most


def test_an_inherited_accuracy_is_that_of_the_batch_statistics_and_changes_nothing() -> None:
    """Without room for the attack it is the share of clean images that the subnet classifies right."""
    algorithm, state = begun("evolution", OWN, attack=PgdConfig(eps=Distance(0), steps=1), batch_size=16)
    genotype = nasbench201.genotype_of(["nor_conv_3x3", "skip_connect"] * 3)
    sample = batch(24)  # batches of 16 and 8
    before = copy.deepcopy(state.supernet.state_dict())
    value = algorithm.trainer.inherited_accuracy(state, genotype, sample)
    assert state.passes == 2 * 2  # a step of the attack and the answer, for both batches
    after = state.supernet.state_dict()
    assert all(torch.equal(after[name], before[name]) for name in before)
    network = state.network(state.space.path(genotype)).train()
    with torch.no_grad():
        answers = torch.cat([network(sample.images[:16]), network(sample.images[16:])])
    assert value == pytest.approx(float((answers.argmax(dim=1) == sample.labels).float().mean()))
    assert value > 0  # so that it says something


def test_all_epochs_train_weights_and_none_alpha(tmp_path: Path) -> None:
    folder = run(tmp_path / "run", "evolution", OWN, epochs=3, warmup_epochs=1)
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    # Three epochs of two batches; the page shows F after each.
    assert [line["kind"] for line in lines if line["kind"] != "alpha"] == ["theta", "theta", "vulnerability"] * 3
    assert len({str(line["probabilities"]) for line in lines if line["kind"] == "alpha"}) == 1


def test_a_space_has_to_name_its_edges(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(SPACES["nasbench201"]), "edges", ())
    expected = "space: expected one that names its edges, for evolution looks for subnets, got 'nasbench201'"
    with pytest.raises(ConfigError, match=expected):
        run(tmp_path / "run", "evolution", OWN)
    assert not (tmp_path / "run").exists()


def test_no_supernet_is_trained_for_trainings(tmp_path: Path) -> None:
    folder = run(tmp_path / "run", "evolution", {"candidates": 1, "population": 1})
    assert not (folder / "metrics.jsonl").exists()
    assert (folder / "trainings" / "0" / "weights.safetensors").exists()
