"""The README keeps its word: its Python block runs, its files and commands exist."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from rnas.cli import COMMANDS
from rnas.recipes import recipe_names

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")
USAGE = (ROOT / "docs" / "usage.md").read_text(encoding="utf-8")


def test_the_python_block_runs(tmp_path: Path) -> None:
    (block,) = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    answer = subprocess.run(
        [sys.executable, "-c", block], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=300
    )
    assert answer.returncode == 0, answer.stderr
    assert "Cell(nodes=" in answer.stdout
    assert "PGD-20" in answer.stdout


@pytest.mark.parametrize("command", sorted(set(re.findall(r"^rnas (\S+(?: \S+)?)", TEXT + USAGE, re.MULTILINE))))
def test_commands_and_recipes_exist(command: str) -> None:
    name, _, first = command.partition(" ")
    assert name in COMMANDS
    if name == "run":
        assert first in recipe_names()


PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_linked_files_exist(page: Path) -> None:
    targets = re.findall(r"\]\((?!https://)([^)#]+)\)", page.read_text(encoding="utf-8"))
    assert [target for target in targets if not (page.parent / target).exists()] == []


def test_the_tree_names_what_there_is() -> None:
    tree = TEXT[TEXT.index("    src/rnas/\n") : TEXT.index("## The paper")]
    for name in re.findall(r"^ {6}([a-z_]+(?:/|\.py))", tree, re.MULTILINE):
        assert (ROOT / "src" / "rnas" / name).exists(), name
