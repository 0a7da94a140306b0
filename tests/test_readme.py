"""The README keeps its word: its Python block runs, its files and commands exist."""

import re
import runpy
from dataclasses import replace
from pathlib import Path

import pytest

from rnas.cli import COMMANDS
from rnas.data import loading
from rnas.recipes import recipe_names

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")
USAGE = (ROOT / "docs" / "usage.md").read_text(encoding="utf-8")


def test_the_python_block_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As it stands, on fewer digits, so that its search takes seconds."""
    (block,) = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    (tmp_path / "block.py").write_text(block, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    whole = loading._digits()
    monkeypatch.setattr(loading, "_digits", lambda: replace(whole, train=whole.train.select(range(60))))
    runpy.run_path("block.py", run_name="__main__")
    said = capsys.readouterr().out
    assert "Cell(nodes=" in said
    assert "PGD-20" in said


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
