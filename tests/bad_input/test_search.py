"""What can be wrong with a search and its test against NAS-RobBench-201: one line, exit code 2, nothing made."""

from pathlib import Path

import pytest
from tests.refusals import Refused

from rnas.search.algorithm import ALGORITHMS

SEARCH = "search --data digits --out new"
NAMES = f"choices: {', '.join(sorted(ALGORITHMS))}"


@pytest.mark.parametrize(
    ("command", "says"),
    [
        (
            f"{SEARCH} --search.algorithm gdass",
            f"search.algorithm: no search algorithm is called 'gdass'; did you mean 'gdas'? ({NAMES})",
        ),
        (
            f"{SEARCH} --search.algorithm darts_pt --search.epochs 2 --search.warmup_epochs 2",
            "search.warmup_epochs: expected less than search.epochs (2), for darts_pt chooses after the warm-up, got 2",
        ),
        (f"{SEARCH} --search.space dart", "search.space: no search space is called 'dart'; did you mean 'darts'?"),
        (f"{SEARCH} --search.hypergradient second", "search.hypergradient: no hypergradient is called 'second'"),
        (f"{SEARCH} --search.size_limit 1%", "search.size_limit: expected at least 1,370,134 parameters, got 51440"),
        (f"{SEARCH} --search.size_limit half", "search.size_limit: expected a number of parameters > 0, a percentage"),
        (f"{SEARCH} --search.size_limit 0", "search.size_limit: expected a number of parameters > 0, a percentage"),
        (f"{SEARCH} --search.cells 2", "search.cells: expected an integer >= 3"),
        (f"{SEARCH} --search.space nasbench201 --search.cells 0", "search.cells: expected an integer >= 1, got 0"),
        (f"{SEARCH} --search.shortlist.count 0", "search.shortlist.count: expected an integer >= 1, got 0"),
        (f"{SEARCH} --search.shortlist.cells 2", "search.shortlist.cells: expected an integer >= 3"),
        (f"{SEARCH} --search.shortlist.channels 3", "search.shortlist.channels: expected an even integer >= 2 or null"),
        (f"{SEARCH} --search.shortlist.rule best", "search.shortlist.rule: expected one of bound, ranks, F, loss"),
        (f"{SEARCH} --search.shortlist.eta 1", "search.shortlist.eta: expected an integer >= 2, got 1"),
        (f"{SEARCH} --search.shortlist.rungs 0", "search.shortlist.rungs: expected an integer >= 1, got 0"),
        (
            f"{SEARCH} --search.shortlist.generations 2",
            "search.shortlist.generations: expected an integer from 1 to count",
        ),
        (f"{SEARCH} --search.shortlist.least_size 0.5", "search.shortlist.least_size: expected a percentage from 0%"),
        (f"{SEARCH} --search.shortlist.keep 2", "search.shortlist.keep: expected a number in (0, 1], got 2.0"),
        (f"{SEARCH} --search.shortlist.metric kll", "search.shortlist.metric: no vulnerability metric is called 'kll'"),
        (
            f"{SEARCH} --data.pixels 1",
            "digits has images of 1x1 pixels; search.constraint.metric gaussian_kl: maps of one position have no",
        ),
        (
            f"{SEARCH} --data.pixels 1 --search.algorithm random --search.shortlist.count 2",
            "digits has images of 1x1 pixels; search.shortlist.metric gaussian_kl: maps of one position have no",
        ),
        (
            f"{SEARCH} --search.algorithm evolution --search.evolution.candidates 5",
            "search.evolution.population: expected an integer from 1 to candidates (5), got 20",
        ),
        (
            f"{SEARCH} --search.algorithm evolution --search.evolution.candidates 0",
            "search.evolution.candidates: expected an integer >= 1, got 0",
        ),
        (
            f"{SEARCH} --data.pixels 1 --search.algorithm evolution",
            "digits has images of 1x1 pixels; search.shortlist.metric gaussian_kl: maps of one position have no",
        ),
        (
            f"{SEARCH} --data.pixels 1 --search.algorithm evolution --search.evolution.reward supernet",
            "digits has images of 1x1 pixels; search.constraint.metric gaussian_kl: maps of one position have no",
        ),
        (
            f"{SEARCH} --search.algorithm robnet --search.robnet.samples 0",
            "search.robnet.samples: expected an integer >= 1, got 0",
        ),
        (
            f"{SEARCH} --search.algorithm reinforce --search.reinforce.momentum 1",
            "search.reinforce.momentum: expected a number in [0, 1), got 1.0",
        ),
        (
            f"{SEARCH} --search.algorithm random --search.evolution.reward supernet",
            "search.evolution.reward: expected its default, 'training', where search.algorithm is 'random'",
        ),
        ("benchmark rnas largest", "expected one search algorithm: rnas benchmark ALGORITHM, got rnas largest"),
        ("benchmark rnas --out new", "table: expected the path of NAS-RobBench-201"),
        ("benchmark rnas --out new --table absent.parquet", "absent.parquet: no such benchmark file"),
        ("benchmark rnas --out new --seeds 0", "seeds: expected an integer >= 1, got 0"),
    ],
)
def test_one_line_and_nothing_made(
    command: str, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refused: Refused
) -> None:
    monkeypatch.chdir(tmp_path)
    refused(command, says)
