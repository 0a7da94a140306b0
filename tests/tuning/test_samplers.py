"""A suggestion is a function of the seed, the number and the trials of earlier batches."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from tests.tuning.killing import Killed, killing

from rnas.errors import ConfigError
from rnas.run.study_results import Measured, Objective, State
from rnas.tuning.journal import Journal, state_of
from rnas.tuning.samplers import SAMPLERS, Past, grid_size
from rnas.tuning.space import parse_space

pytest.importorskip("optuna")
from optuna.storages.journal import JournalFileBackend

SPACE = parse_space({"a": "0.0..1.0", "b": "1..8", "c": "x,y,z", "d": "0.001..1.0:log", "e": "4..16:step=4"})
GRID = parse_space({"b": "1..4", "c": "x,y,z", "d": "0..1:step=0.5"})
OBJECTIVES = [Objective("clean", "Clean", maximise=True), Objective("parameters", "Parameters", maximise=False)]
ALONE = Past((1, -1), (), startup=3, population=4)


def study(
    folder: Path, sampler: str, count: int, batch: int, *, backwards: bool = False, seed: int = 5
) -> list[object]:
    """The settings of a study of a formula, begun or continued; trials of a batch end in their order, or backwards."""
    folder.mkdir(exist_ok=True)
    journal = Journal(folder, SPACE, OBJECTIVES)
    while True:
        trials = journal.trials()
        running = [trial for trial in trials if state_of(trial) is State.RUNNING]
        begun = running[0].number if running else len(trials)
        if begun >= count:
            return [journal.settings(trial) for trial in Journal(folder, SPACE, OBJECTIVES).trials()]
        running += [
            journal.suggest(SAMPLERS[sampler], seed, batch, startup=3, population=4)
            for _ in range(len(trials), min(begun - begun % batch + batch, count))
        ]
        for trial in reversed(running) if backwards else running:
            clean = 1 - (trial.params["a"] - 0.3) ** 2
            size = trial.params["b"] * (2 if trial.params["c"] == "x" else 1)
            journal.finish(trial, {"clean": Measured(clean, clean - 0.1, clean), "parameters": Measured.exact(size)})


@pytest.mark.parametrize("sampler", ["tpe", "nsga2", "random"])
def test_a_study_that_is_killed_at_any_line_of_its_journal_is_the_undisturbed_one(
    sampler: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    undisturbed = study(tmp_path / "undisturbed", sampler, 7, 2)
    lines = len((tmp_path / "undisturbed" / "journal.log").read_text().splitlines())
    assert lines == 2 + 7 * 3  # the study and its names; a trial's suggestion, interval and values
    append = JournalFileBackend.append_logs
    for at in range(lines):
        for after in (False, True):
            folder = tmp_path / f"{at}-{after}"
            monkeypatch.setattr(JournalFileBackend, "append_logs", killing(append, at, after=after))
            with pytest.raises(Killed):
                study(folder, sampler, 7, 2, backwards=at % 2 == 0)
            monkeypatch.setattr(JournalFileBackend, "append_logs", append)
            assert study(folder, sampler, 7, 2) == undisturbed, (at, after)


@pytest.mark.parametrize("sampler", ["tpe", "nsga2", "random"])
def test_a_study_repeats_and_the_order_of_ends_does_not_matter(sampler: str, tmp_path: Path) -> None:
    first = study(tmp_path / "first", sampler, 14, 3)
    assert study(tmp_path / "second", sampler, 14, 3, backwards=True) == first
    assert study(tmp_path / "other", sampler, 14, 3, seed=6) != first
    assert study(tmp_path / "shorter", sampler, 7, 3) == first[:7]
    assert len({str(one) for one in first}) == 14


def test_tpe_and_nsga2_learn_and_random_does_not(tmp_path: Path) -> None:
    """After the trials at random those that learn differ from it, and from each other."""
    studies = {name: study(tmp_path / name, name, 12, 1) for name in ("tpe", "nsga2", "random")}
    assert studies["tpe"] != studies["nsga2"]
    for name in ("tpe", "nsga2"):
        assert studies[name][:3] == studies["random"][:3]
        assert studies[name][5:] != studies["random"][5:]


def test_tpe_avoids_what_fails(tmp_path: Path) -> None:
    """Of three words one always fails; at random it would be a third of the trials."""
    tmp_path.joinpath("study").mkdir()
    journal = Journal(tmp_path / "study", SPACE, OBJECTIVES)
    for _ in range(40):
        trial = journal.suggest(SAMPLERS["tpe"], 0, 1, startup=8, population=4)
        if trial.params["c"] == "x":
            journal.fail(trial, "it diverged")
        else:
            journal.finish(trial, {"clean": Measured.exact(trial.params["a"]), "parameters": Measured.exact(1.0)})
    later = [trial.params["c"] for trial in journal.trials()[16:]]
    assert later.count("x") <= len(later) // 6


def test_random_does_not_look_at_other_trials() -> None:
    """The trial of a number is the same alone; over many all values come, near evenly."""
    drawn = [SAMPLERS["random"].suggest(SPACE, 0, number, ALONE).drawn for number in range(200)]
    assert SAMPLERS["random"].suggest(SPACE, 0, 150, ALONE).drawn == drawn[150]
    counts = {word: sum(one["c"] == word for one in drawn) for word in "xyz"}
    assert min(counts.values()) > 40
    assert {one["b"] for one in drawn} == set(range(1, 9))
    assert {one["e"] for one in drawn} == {4, 8, 12, 16}
    below = sum(float(str(one["d"])) < 0.0316 for one in drawn)  # half of a range by its logarithm
    assert 75 < below < 125


def test_a_grid_has_every_point_once_in_an_order_of_the_seed() -> None:
    size = grid_size(GRID)
    assert size == 4 * 3 * 3
    points = [tuple(SAMPLERS["grid"].suggest(GRID, 0, number, ALONE).drawn.values()) for number in range(size)]
    assert set(points) == set(itertools.product((1, 2, 3, 4), "xyz", (0.0, 0.5, 1.0)))
    others = [tuple(SAMPLERS["grid"].suggest(GRID, 1, number, ALONE).drawn.values()) for number in range(size)]
    assert points != others
    assert set(points) == set(others)


def test_a_grid_needs_a_number_of_values() -> None:
    with pytest.raises(ConfigError, match=r"space: a: expected a finite number of values .*:points=5"):
        grid_size(SPACE)
    with pytest.raises(ConfigError, match="at most 100,000 points, got 1,000,000"):
        grid_size(parse_space({"a": "1..1000", "b": "1..1000"}))
