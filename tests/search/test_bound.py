"""A bound that is not met is called so: in results.json, and in the terminal."""

import json
from pathlib import Path

import pytest

from rnas.cli import main
from rnas.run.search_results import SearchResults, bound_met

SEARCH = (
    "search --data digits --data.limit 24 --threads 1 --search.channels 2 --search.cells 3 --search.epochs 1 "
    "--search.warmup_epochs 0 --search.batch_size 6 --search.attack.steps 1 --search.constraint.images 4 "
    "--search.constraint.max_iterations 1"
)


@pytest.mark.parametrize(
    ("reached", "bound", "met"),
    [(1.0, 1.0, True), (1.009, 1.0, True), (1.011, 1.0, False), (2.0, None, None), (None, 1.0, None)],
)
def test_the_tolerance_is_that_of_the_projection(reached: float | None, bound: float | None, met: bool | None) -> None:
    assert bound_met(reached, bound, 0.01) is met


def test_words() -> None:
    def words(**values: float | None) -> str:
        document = {"parameters": 3, "passes": 2, "size_limit": None, **values}
        results = SearchResults.from_json(document, "results.json")
        assert SearchResults.from_json(results.to_json(), "results.json") == results
        return results.bound_in_words()

    assert words(F=3.12, H=2.0, tolerance=0.001) == "bound NOT met: F / H = 1.56, tolerance 0.001"
    assert words(F=2.0, H=2.0) == "bound met: F / H = 1, tolerance 0.001"  # of an older version
    assert words(F=2.0, H=None) == ""


@pytest.mark.parametrize(("bound", "met"), [("1e-9", False), ("1e6", True)])
def test_a_search_says_it(bound: str, met: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*SEARCH.split(), "--search.constraint.bound", bound, "--out", str(tmp_path / "run")]) == 0
    results = json.loads((tmp_path / "run" / "results.json").read_text())
    assert results["bound_met"] is met
    assert (results["F"] <= results["H"] * (1 + results["tolerance"])) is met
    said = capsys.readouterr().out
    assert ("bound NOT met: F / H = " in said) is not met
    assert ("bound met: F / H = " in said) is met
