"""Two processes end with what one process ends with, and agree with each other to the bit."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from tests.parallel import cases
from tests.processes import Commands
from torch import Tensor, distributed

CASES_FILE = Path(__file__).with_name("cases.py")
#: All is computed in float64, but for the auxiliary classifier's logits: a mean over 9 is another than over 5 and 4.
TOLERANCES = {"cells": 1e-7}
TOLERANCE = 1e-9


# Each of some thousand messages waits until both processes have a core: minutes where others want them too.
pytestmark = [
    pytest.mark.timeout(1200),
    pytest.mark.skipif(
        not (distributed.is_available() and distributed.is_gloo_available()), reason="this build of torch has no gloo"
    ),
]


@pytest.fixture(scope="module")
def two(commands: Commands, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The results of two processes."""
    folder = tmp_path_factory.mktemp("two")
    # A folder for each: what the second one's runs leave would be seen there.
    for rank in range(2):
        (folder / str(rank)).mkdir()
    for process in commands.group([[folder / str(rank)] for rank in range(2)], script=CASES_FILE):
        assert process.returncode == 0, process.stderr
    return folder


def results(folder: Path, name: str) -> dict[str, Tensor]:
    found: dict[str, Tensor] = torch.load(folder / f"{name}.pt")
    return found


def difference(one: dict[str, Tensor], other: dict[str, Tensor]) -> float:
    assert one.keys() == other.keys()
    differences = [(value.double() - other[key].double()).abs().max() for key, value in one.items() if value.numel()]
    assert len(differences) > 1
    return float(torch.stack(differences).max())


@pytest.mark.parametrize("name", cases.CASES)
def test_two_processes_are_one(name: str, two: Path, tmp_path: Path) -> None:
    cases.run_case(name, tmp_path)
    first, second = (results(two / str(rank), name) for rank in range(2))
    for key in [key for key in first if "rows" in key]:
        first[key] = second[key] = torch.cat([first[key], second[key]])
    if name == "unsynchronised":
        # The comparison sees what it is for: batch norms by the own rows only.
        assert difference(results(tmp_path, name), first) > 0.01
        assert difference(first, second) > 0.01
        return
    assert difference(results(tmp_path, name), first) < TOLERANCES.get(name, TOLERANCE)
    assert difference(first, second) == 0


def test_only_the_first_process_writes(two: Path) -> None:
    assert {path.suffix for path in (two / "1").iterdir()} == {".pt"}
    for name in set(cases.CASES) - {"norms"}:
        assert (two / "0" / name / "manifest.json").exists()
