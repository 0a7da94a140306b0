"""Each example is short and runs as its first lines say."""

import runpy
import sys
from pathlib import Path

import pytest
from tests.processes import Commands

FOLDER = Path(__file__).parents[1] / "examples"
EXAMPLES = sorted(FOLDER.glob("*.py"))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_fits_on_a_screen_and_is_tested_here(path: Path) -> None:
    limit = 125 if path.name == "own_space.py" else 60  # a space has a network and a supernet
    assert len(path.read_text(encoding="utf-8").splitlines()) <= limit
    assert path.name in Path(__file__).read_text(encoding="utf-8")


@pytest.mark.usefixtures("drawn")
def test_search_in_python_leaves_a_network_that_attack_a_run_takes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """In this process, which has imported torch already."""

    def run_here(name: str, *arguments: str) -> str:
        monkeypatch.setattr(sys, "argv", [name, *arguments])
        runpy.run_path(str(FOLDER / name), run_name="__main__")
        return capsys.readouterr().out

    table = run_here("search_in_python.py", "--out", str(tmp_path), "--images", "40", "--epochs", "1")
    assert "PGD-20" in table
    assert (tmp_path / "cells.svg").exists()
    said = run_here("attack_a_run.py", str(tmp_path / "trained"), "--images", "8", "--attacks", "apgd-ce")
    assert "under AutoAttack: " in said


def test_own_network_learns(commands: Commands, tmp_path: Path) -> None:
    """In a process of its own, for it registers names."""
    said = commands.run_script(FOLDER / "own_network.py", "--out", tmp_path / "own", "--epochs", "2")
    accuracy = float(said.split(":")[1].split("%")[0])
    assert accuracy > 30


@pytest.mark.parametrize("name", ["own_algorithm.py", "own_attack.py", "own_network.py", "own_space.py"])
def test_plug_ins_are_loaded_by_commands_in_the_tests_of_plug_ins(name: str) -> None:
    assert name in Path(__file__).with_name("test_plugins.py").read_text(encoding="utf-8")
