"""`rnas completion`: what a shell completes, asked of the shell itself."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from rnas.arguments import known_keys
from rnas.cli import COMMANDS, DIRECT, main
from rnas.commands import SearchCommand
from rnas.commands.completion import script
from rnas.recipes import recipe_names

BASH = shutil.which("bash")
pytestmark = pytest.mark.skipif(BASH is None, reason="there is no bash")


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("completion") / "rnas.sh"
    path.write_text(script("bash"))
    return path


def completed(file: Path, *words: str) -> list[str]:
    """What is offered for the last word."""
    code = 'source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _rnas; printf "%s\\n" "${COMPREPLY[@]}"'
    answer = subprocess.run(
        [str(BASH), "-c", code, "bash", str(file), "rnas", *words], capture_output=True, text=True, check=True
    )
    assert answer.stderr == ""
    return [line for line in answer.stdout.splitlines() if line]


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (["se"], ["search"]),
        (["run", "qu"], ["quickstart"]),
        (["train", "--training.ob"], ["--training.objective"]),
        (["train", "--training.objective", "tr"], ["trades"]),
        (
            ["evaluate", "runs/a", "--evaluation.attacks", "fgsm,autoattack_r"],
            ["fgsm,autoattack_rand", "fgsm,autoattack_rand_l2"],
        ),
        (["search", "--search.algorithm", "pc"], ["pc_darts"]),
        (["search", "--search.score.n"], ["--search.score.name"]),
        (["report", "x"], []),
        (["completion", "z"], ["zsh"]),
        (["nonsense", "x"], []),
    ],
)
def test_what_is_offered(words: list[str], offered: list[str], file: Path) -> None:
    assert completed(file, *words) == offered


def test_everything_is_offered(file: Path) -> None:
    assert set(completed(file, "")) == {*COMMANDS, *DIRECT}
    assert set(completed(file, "run", "")) >= set(recipe_names())
    assert {f"--{key}" for key in known_keys(SearchCommand)} <= set(completed(file, "search", "--"))


def test_shells(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", "fish"]) == 2
    assert "expected a shell: rnas completion bash|zsh, got fish" in capsys.readouterr().err
    assert main(["completion"]) == 2
    assert script("zsh").startswith("autoload -U +X bashcompinit")
