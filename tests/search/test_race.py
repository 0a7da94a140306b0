"""The end of a search: who wins a race, how long each rung trains, and a killed race that goes on."""

import json
import pickle
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from rnas.commands import SearchCommand, run_search
from rnas.config import PgdConfig
from rnas.data.config import DataConfig
from rnas.errors import RunError
from rnas.executors import ENGINES, ExecutorConfig, Job, Outcome
from rnas.executors.jobs import attempt
from rnas.executors.registry import Execute
from rnas.genotype import Genotype
from rnas.models.spec import load_network
from rnas.run.checkpoints import read_weights
from rnas.run.search_results import Candidate
from rnas.search import SearchConfig, candidates
from rnas.search.config import ShortlistConfig
from rnas.search.race import ORDERS
from rnas.supernets.space import SPACES
from rnas.training import loop as training_loop

CANDIDATES: list[dict[str, Any]] = [
    {"F": 0.4, "adversarial_loss": 1.0},
    {"F": 0.1, "adversarial_loss": 3.0},
    {"F": 0.2, "adversarial_loss": 2.0},
    {"F": 0.3, "adversarial_loss": 1.5},
]


@pytest.mark.parametrize(("keep", "chosen"), [(1.0, 0), (0.75, 3), (0.5, 2), (0.25, 1), (0.01, 1)])
def test_the_lowest_loss_of_those_within_the_bound(keep: float, chosen: int) -> None:
    assert ORDERS["bound"](CANDIDATES, ShortlistConfig(keep=keep))[0] == chosen


def command(out: Path, **changes: Any) -> SearchCommand:
    search = SearchConfig(
        algorithm="random",
        space="nasbench201",
        channels=2,
        cells=1,
        epochs=1,
        warmup_epochs=0,
        batch_size=16,
        attack=PgdConfig(steps=1),
        size_limit="50%",
        shortlist=ShortlistConfig(count=3, epochs=1, images=20),
    )
    return SearchCommand(
        out=str(out), data=DataConfig(limit=64), search=replace(search, **changes), checkpoint_every=1, threads=1
    )


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A search that was not interrupted; to be read only."""
    return run_search(command(tmp_path_factory.mktemp("race") / "whole"))


def test_the_answer_is_the_best_candidate_and_the_passes_are_counted(whole: Path) -> None:
    folder = whole
    results = json.loads((folder / "results.json").read_text())
    measured = results["candidates"]
    assert len(measured) == 3
    chosen = ORDERS["bound"](measured, ShortlistConfig())[0]
    answer = Genotype.load(folder / "genotype.json")
    assert answer == Genotype.load(folder / "candidates" / str(chosen) / "genotype.json")
    assert results["parameters"] <= results["size_limit"]
    # Two batches of 16, one pass of the attack and one of the training each; two batches of the sample, five each.
    assert results["passes"] == 3 * (2 * 2 + 2 * 5)


def test_candidates_differ(whole: Path) -> None:
    found = {Genotype.load(path) for path in whole.glob("candidates/*/genotype.json")}
    assert len(found) == 3


def test_a_choice_killed_between_candidates_goes_on(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained: list[Path] = []
    train = training_loop.train

    def dies_at_the_second(network: Any, data: Any, config: Any, run: Any, **settings: Any) -> None:
        trained.append(run.path)
        if len(trained) == 2:
            raise KeyboardInterrupt
        train(network, data, config, run, **settings)

    monkeypatch.setattr(candidates, "train", dies_at_the_second)
    with pytest.raises(KeyboardInterrupt):
        run_search(command(tmp_path / "killed"))
    killed = run_search(command(tmp_path / "killed"))
    assert [path.name for path in trained] == ["0", "1", "1", "2"]
    for name in ("genotype.json", "results.json", "candidates/1/weights.safetensors"):
        assert (killed / name).read_bytes() == (whole / name).read_bytes()


def test_a_supernet_proposes_its_derived_cell_first(tmp_path: Path) -> None:
    changes: dict[str, Any] = {"algorithm": "gdas", "shortlist": ShortlistConfig(count=1)}
    alone = run_search(command(tmp_path / "alone", **changes))
    several = run_search(command(tmp_path / "several", algorithm="gdas"))
    first = Genotype.load(several / "candidates" / "0" / "genotype.json")
    assert Genotype.load(alone / "genotype.json") == first
    # The tensors, for the files also name their runs.
    alphas = [read_weights(folder / "alpha.safetensors") for folder in (alone, several)]
    assert alphas[0].keys() == alphas[1].keys()
    assert all(torch.equal(alphas[0][name], alphas[1][name]) for name in alphas[0])


def test_candidates_keep_the_size_limit(tmp_path: Path) -> None:
    """Within the tightest limit only cells without convolutions are left."""
    folder = run_search(command(tmp_path / "run", size_limit=73_306, shortlist=ShortlistConfig(count=2, epochs=1)))
    operations = {
        edge.op
        for path in folder.glob("candidates/*/genotype.json")
        for node in Genotype.load(path)["cell"].nodes
        for edge in node
    }
    assert operations <= {"none", "skip_connect", "avg_pool_3x3"}


def test_ranks_weigh_both_measures_alike() -> None:
    """By F the order is 1, 2, 3, 0 and by loss 0, 3, 2, 1: all sums are 3, so the lower loss decides."""
    assert ORDERS["ranks"](CANDIDATES, ShortlistConfig()) == [0, 3, 2, 1]
    better = [{"F": 0.15, "adversarial_loss": 1.2}, *CANDIDATES[1:]]
    assert ORDERS["ranks"](better, ShortlistConfig())[0] == 0


def test_each_rung_keeps_one_in_eta_and_trains_them_eta_times_as_long(tmp_path: Path) -> None:
    shortlist = ShortlistConfig(count=5, epochs=1, images=20, rungs=3, eta=2, rule="loss")
    folder = run_search(command(tmp_path / "run", shortlist=shortlist))
    document = json.loads((folder / "results.json").read_text())
    candidates = [Candidate.from_json(entry, "") for entry in document["candidates"]]
    rungs = [[one.measures[rung] for one in candidates if len(one.measures) > rung] for rung in range(3)]
    assert [len(rung) for rung in rungs] == [5, 3, 2]
    passes = [{measures["training_passes"] for measures in rung} for rung in rungs]
    assert passes == [{4}, {8}, {16}]  # two batches, one pass of the attack and one of the training each
    for rung in (0, 1):
        losses = [one.measures[rung]["adversarial_loss"] for one in candidates if len(one.measures) > rung]
        went_on = [one.measures[rung]["adversarial_loss"] for one in candidates if len(one.measures) > rung + 1]
        assert sorted(losses)[: len(went_on)] == sorted(went_on)
    last = {
        number: one.measures[2]["adversarial_loss"] for number, one in enumerate(candidates) if len(one.measures) == 3
    }
    winner = min(last, key=last.__getitem__)
    assert Genotype.load(folder / "genotype.json") == Genotype.load(
        folder / f"candidates/rung-3/{winner}/genotype.json"
    )
    counted = sum(one["training_passes"] + one["measuring_passes"] for rung in rungs for one in rung)
    assert document["passes"] == counted


def test_later_generations_are_mutants_of_the_best(tmp_path: Path) -> None:
    shortlist = ShortlistConfig(count=6, epochs=1, images=20, generations=3, eta=2, rule="loss")
    folder = run_search(command(tmp_path / "run", shortlist=shortlist))
    entries = json.loads((folder / "results.json").read_text())["candidates"]
    cells = [Genotype.load(folder / f"candidates/{number}/genotype.json") for number in range(6)]
    assert len(set(cells)) == 6
    assert ["parent" in entry for entry in entries] == [False, False, True, True, True, True]
    for number, entry in list(enumerate(entries))[2:]:
        known = 2 if number < 4 else 4
        losses = sorted(one["adversarial_loss"] for one in entries[:known])
        assert entries[entry["parent"]]["adversarial_loss"] <= losses[known // 2 - 1]
        assert cells[number] in SPACES["nasbench201"].neighbours(cells[entry["parent"]])


def test_small_candidates_are_not_proposed(tmp_path: Path) -> None:
    shortlist = ShortlistConfig(count=4, epochs=1, images=20, generations=2, least_size="90%")
    folder = run_search(command(tmp_path / "run", shortlist=shortlist))
    space = SPACES["nasbench201"]
    largest = space.size(space.largest(space.at_most("50%"), torch.Generator()))
    sizes = [entry["parameters"] for entry in json.loads((folder / "results.json").read_text())["candidates"]]
    assert len(sizes) == 4
    assert all(0.9 * largest <= size <= largest for size in sizes)


def test_an_engine_may_train_the_candidates_in_any_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shortlist = ShortlistConfig(count=4, epochs=1, images=20, rungs=2, eta=2, rule="loss")
    here = run_search(command(tmp_path / "here", shortlist=shortlist))
    trained: list[str] = []

    @contextmanager
    def backwards(config: ExecutorConfig) -> Iterator[Execute]:  # noqa: ARG001
        def execute(jobs: Sequence[Job]) -> Iterator[Outcome]:
            for job in reversed(pickle.loads(pickle.dumps(jobs))):  # as if they came from another machine
                trained.append(job.name)
                yield Outcome(job, attempt(job))

        yield execute

    monkeypatch.setitem(ENGINES._items, "backwards", backwards)
    there = run_search(replace(command(tmp_path / "there", shortlist=shortlist), engine="backwards"))
    assert trained[:4] == [f"candidate {number}" for number in (3, 2, 1, 0)]
    assert len(trained) == 6
    for name in ("genotype.json", "results.json"):
        assert (there / name).read_bytes() == (here / name).read_bytes()


def test_a_candidate_that_fails_elsewhere_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    @contextmanager
    def failing(config: ExecutorConfig) -> Iterator[Execute]:  # noqa: ARG001
        yield lambda jobs: (Outcome(job, "its worker died 6 times") for job in jobs)

    monkeypatch.setitem(ENGINES._items, "failing", failing)
    with pytest.raises(RunError, match="candidate 0: its worker died 6 times"):
        run_search(replace(command(tmp_path / "run"), engine="failing"))


def test_candidates_may_be_wider_and_deeper_than_the_supernet(tmp_path: Path) -> None:
    shortlist = ShortlistConfig(count=2, epochs=1, images=20, channels=4, cells=2)
    folder = run_search(command(tmp_path / "run", shortlist=shortlist))
    document = json.loads((folder / "candidates" / "0" / "model.json").read_text())
    assert (document["channels"], document["cells"]) == (4, 2)
    assert len(load_network(folder / "candidates" / "0").cells) == 3 * 2  # type: ignore[arg-type]
