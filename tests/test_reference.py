"""What the reference calls public is there and says what it takes; the site builds without a warning."""

from __future__ import annotations

import importlib.util
import inspect
import os
import re
import subprocess
import sys
from dataclasses import fields, is_dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "reference" / "python.md").read_text(encoding="utf-8")


def listed() -> list[str]:
    """The names on the page, in full."""
    names = re.findall(r"^\.\. auto(?:function|class):: (\S+)$", PAGE, re.MULTILINE)
    for module, members in re.findall(r"^\.\. automodule:: (\S+)\n   :members:(.*)$", PAGE, re.MULTILINE):
        names += [f"{module}.{name.strip()}" for name in members.split(",") if name.strip()]
    return names


def find(name: str) -> Any:
    module, _, last = name.rpartition(".")
    return getattr(import_module(module), last)


@pytest.mark.parametrize("name", listed())
def test_a_public_name_says_what_it_takes(name: str) -> None:
    found = find(name)
    text = inspect.getdoc(found) or ""
    assert text, name
    if inspect.isclass(found) and (issubclass(found, Exception) or not is_dataclass(found)):
        return
    if is_dataclass(found):
        # What a configuration inherits is told where it is declared.
        kind: type = found  # type: ignore[assignment]
        inherited = {name for base in inspect.getmro(kind)[1:] for name in getattr(base, "__annotations__", ())}
        taken = [one.name for one in fields(found) if one.name not in inherited]
    else:
        taken = list(inspect.signature(found).parameters)
    told = set(re.findall(r"^ {4}\*{0,2}(\w+): ", text, re.MULTILINE))
    if "rguments" in text and not told & set(taken):
        return  # they are those of another function, which it names
    assert [one for one in taken if one not in told] == []


def test_all_that_the_package_exports_first_is_listed() -> None:
    import rnas

    names = {name.rpartition(".")[2] for name in listed()}
    packages = {name for name in rnas.__all__ if inspect.ismodule(getattr(rnas, name))}
    assert set(rnas.__all__) - packages <= names
    assert {name for name in packages if f"rnas.{name}" not in PAGE} <= {"corruptions", "models", "recipes"} | {
        "spaces",
        "studies",
        "supernets",
        "tabular",
    }


@pytest.mark.skipif(
    importlib.util.find_spec("furo") is None, reason="the site needs the extra: pip install 'rnas[docs]'"
)
def test_the_site_builds_without_a_warning(tmp_path: Path) -> None:
    """Links, references, docstrings, generated settings; the notebooks run in tests of their own."""
    options = [
        "-W",
        "--keep-going",
        "-q",
        "-b",
        "html",
        "-D",
        "nb_execution_mode=off",
        "-d",
        str(tmp_path / "doctrees"),
    ]
    answer = subprocess.run(
        [sys.executable, "-m", "sphinx", *options, str(ROOT / "docs"), str(tmp_path / "site")],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode == 0, answer.stderr[-3000:]
    commands = (tmp_path / "site" / "reference" / "commands.html").read_text(encoding="utf-8")
    for setting in (
        "--search.constraint.bound",
        "--evaluation.attacks",
        "--search.pc_darts.one_in",
        "--certification.n0",
    ):
        assert setting in commands
    page = (tmp_path / "site" / "explanation.html").read_text(encoding="utf-8")
    assert "<math" in page
    assert not re.search(r'(?:src|href)="https?://[^"]+\.(?:js|css)', page)  # nothing is fetched
