"""README and docs keep their word: blocks run, or are sound up to where the work begins; files and names exist."""

from __future__ import annotations

import json
import os
import re
import runpy
import shlex
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from rnas.arguments import import_algorithms, known_keys
from rnas.cli import COMMANDS, DIRECT, main
from rnas.commands import doors
from rnas.commands.kinds import KINDS
from rnas.data import loading
from rnas.models import exporting
from rnas.search.extending import extended

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md")),
    *sorted(path for path in (ROOT / "docs").rglob("*.md") if "_build" not in path.parts),
]
#: What was tried once is told in the words of its time.
PRESENT = [page for page in PAGES if page.name not in ("log.md", "CHANGELOG.md")]
TEXTS = {page: page.read_text(encoding="utf-8") for page in PAGES}


def blocks(page: Path, language: str) -> list[str]:
    """The blocks of a page in one language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", TEXTS[page], re.DOTALL | re.MULTILINE)


PYTHON = [(page, block) for page in PAGES for block in blocks(page, "python")]

TRAIN = (
    "train --network resnet18 --network.channels 2 --data.limit 60 --training.objective standard --training.epochs 1 "
    "--training.batch_size 20 --threads 1 --out"
)

EVALUATE = "evaluate runs/quickstart/resnet18 --evaluation.attacks pgd20 --evaluation.images 20"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the runs that blocks speak of."""
    place = tmp_path_factory.mktemp("place")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        patch.setattr(exporting, "ONNX_PACKAGES", ("a_package_that_nobody_has",))
        for run in ("runs/found", "runs/quickstart/resnet18"):
            assert main([*TRAIN.split(), run]) == 0
        assert main([*EVALUATE.split()]) == 0
        assert main(["export", "runs/found"]) == 0
    return place


@pytest.mark.parametrize(("page", "block"), PYTHON, ids=lambda part: part.name if isinstance(part, Path) else "")
def test_a_python_block_runs(
    page: Path, block: str, place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As it stands, on fewer digits, so that its search takes seconds."""
    monkeypatch.chdir(place)
    file = re.match(r"# (\w+\.py)\n", block)
    path = Path(file[1] if file else "block.py")
    path.write_text(block, encoding="utf-8")
    whole = loading._digits()
    monkeypatch.setattr(loading, "_digits", lambda: replace(whole, train=whole.train.select(range(60))))
    runpy.run_path(str(path), run_name="__main__")
    if page == README:
        assert len([line for line in block.splitlines() if line]) <= 8
        assert "PGD-20" in capsys.readouterr().out


def commands(page: Path) -> list[list[str]]:
    """The commands of a page's shell blocks, in words and without comments."""
    text = "\n".join(blocks(page, "sh")).replace("\\\n", " ")
    lines = [part for line in text.splitlines() for part in line.split(" && ")]
    return [words for line in lines if (words := shlex.split(line, comments=True))]


#: Does what a command of the documentation does up to where its work would begin: all but the work is real.
RUN = """
import json, sys
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

from rnas.cli import COMMANDS, DIRECT, main
from rnas.commands import doors
from rnas.commands import doors

class Begins(BaseException):
    pass

def begin(*_):
    raise Begins

def parse_only(*arguments, **keywords):
    parse(*arguments, **keywords)
    raise Begins

parse, doors.parse, doors.reports.report = doors.parse, parse_only, begin
for line in json.loads(sys.stdin.read()):
    words, file = line, None
    if ">" in line:
        words, file = line[: line.index(">")], line[-1]
    out = StringIO()
    try:
        with redirect_stdout(out):
            code = main(words)
    except Begins:
        code = 0
    except SystemExit as end:
        code = end.code or 0
    if file:
        Path(file).write_text(out.getvalue())
    if code:
        print(" ".join(line))
"""


def test_commands_are_sound_up_to_where_their_work_begins(tmp_path: Path) -> None:
    """All of them in one process; those of other programs name what exists."""
    ours: list[list[str]] = []
    for page in PRESENT:
        for words in commands(page):
            if words[0] == "torchrun":
                words = words[words.index("rnas") :]
            if words[0] == "rnas":
                ours.append(words[1:])
            else:
                check_other(words)
    assert len(ours) > 50
    for run in re.findall(r"--resume (\S+)", "\n".join(TEXTS.values())):
        (tmp_path / run).mkdir(parents=True, exist_ok=True)
        (tmp_path / run / "config.yaml").write_text("seed: 1\n")
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    answer = subprocess.run(
        [sys.executable, "-c", RUN],
        cwd=tmp_path,
        input=json.dumps(ours),
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout == "", answer.stderr


#: What is not ours to know.
OTHER_PROGRAMS = ("cd", "git", "eval", "ray", "srun", "sleep")


def check_other(words: list[str]) -> None:
    """Fail where a command of another program names a target, a script, an option or an extra that is not there."""
    first, *rest = words
    if first == "make":
        assert f"\n{rest[0]}:" in (ROOT / "Makefile").read_text(), words
    elif first == "python":
        script = (ROOT / rest[0]).read_text(encoding="utf-8")
        assert [word for word in rest if word.startswith("--") and f'"{word}"' not in script] == [], words
    elif first == "pip":
        assert rest[0] == "install", words
        extras = re.findall(r"\[(\w+)\]", " ".join(rest))
        assert all(f"\n{extra} = [" in (ROOT / "pyproject.toml").read_text() for extra in extras), words
    else:
        assert first in OTHER_PROGRAMS or "=" in first, words


#: Options of other programs, and those that are no settings.
OTHERS = {
    "help",
    "plugin",
    "config",
    "resume",
    "print_config",
    "version",
    "nproc-per-node",
    "GROUP",
    "setting",
    "only",
    "logdir",
}


@pytest.mark.parametrize("page", PRESENT, ids=lambda page: page.name)
def test_every_option_that_is_named_exists(page: Path) -> None:
    import_algorithms()
    known = {key for kind in KINDS.values() for key in known_keys(extended(kind.settings))} | OTHERS
    known |= {"search.smallest.draws", "search.fewest_skips.draws"}  # of examples
    text = re.sub(r"^```(?:diff|python|\{).*?^```$", "", TEXTS[page], flags=re.DOTALL | re.MULTILINE)
    # Options of benchmarks are looked for in their scripts, those of a cluster's programs are theirs.
    foreign = re.compile(r"benchmarks/|examples/|^(ray|srun|#SBATCH) |^head=")
    text = "\n".join(line for line in text.splitlines() if not foreign.search(line))
    named = set(re.findall(r"(?<![\w-])--([A-Za-z][\w.-]*\w)", text))
    assert sorted(named - known) == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_linked_files_exist(page: Path) -> None:
    text = re.sub(r"^```.*?^```$", "", TEXTS[page], flags=re.DOTALL | re.MULTILINE)
    targets = re.findall(r"\]\((?!https?://)([^)#]+)[^)]*\)", text)
    assert [target for target in targets if not (page.parent / target).exists()] == []


def test_the_tree_names_what_there_is() -> None:
    text = TEXTS[README]
    tree = text[text.index("    src/rnas/\n") : text.index("## The paper")]
    for name in re.findall(r"^ {6}([a-z_]+(?:/|\.py))", tree, re.MULTILINE):
        assert (ROOT / "src" / "rnas" / name).exists(), name


def test_every_command_stands_in_the_reference_and_in_the_table_of_settings() -> None:
    reference = TEXTS[ROOT / "docs" / "reference" / "commands.md"]
    for command in (*COMMANDS, *DIRECT):
        assert re.search(rf"^## .*\b{command}\b", reference, re.MULTILINE) or f"rnas {command}" in reference
    seen: list[tuple[str, type, bool]] = []

    def note(title: str, kind: type, _: list[str], *, recipe: Path | None = None, resumable: bool = False) -> None:  # noqa: ARG001
        seen.append((title, kind, resumable))
        raise SystemExit

    first = {
        "run": ["quickstart"],
        "tune": ["quickstart"],
        "reproduce": ["table1"],
        "evaluate": ["made"],
        "certify": ["made"],
        "export": ["made"],
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(doors, "parse", note)
        for command in COMMANDS:
            if command == "report":
                continue
            with pytest.raises(SystemExit):
                getattr(doors, command)(first.get(command, []))
    assert {(kind.title(name), kind.settings, kind.resumable) for name, kind in KINDS.items()} == set(seen)
